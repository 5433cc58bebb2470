//! Where a file that arrives rests until it is imported: it is read more than
//! once, and too large for memory.

use std::fs::File;
use std::io::{ErrorKind, Seek as _};
use std::path::Path;

use tokio::io::AsyncWriteExt as _;

use crate::events::{Code, Failure};

/// The largest file: bytes. A log of 117 columns has 3 MB an hour.
pub const LARGEST_FILE: u64 = 512 << 20;

/// A file that arrives. It has no name, so that nothing of it is left whatever
/// becomes of the process.
pub struct Spool {
    file: tokio::fs::File,
    bytes: u64,
}

impl Spool {
    /// An empty one in this folder.
    ///
    /// # Errors
    /// There is no room, or the folder cannot be written (E501).
    pub fn create(folder: &Path) -> Result<Self, Failure> {
        let file = tempfile::tempfile_in(folder).map_err(no_room)?;
        Ok(Self { file: tokio::fs::File::from_std(file), bytes: 0 })
    }

    /// Adds a part.
    ///
    /// # Errors
    /// There is no room (E501), or the file is too large (E006).
    pub async fn add(&mut self, part: &[u8]) -> Result<(), Failure> {
        self.bytes += part.len() as u64;
        if self.bytes > LARGEST_FILE {
            return Err(too_large());
        }
        self.file.write_all(part).await.map_err(no_room)
    }

    /// Bytes that arrived.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The whole file, to be read from its beginning.
    ///
    /// # Errors
    /// There is no room for the last part (E501).
    pub async fn end(mut self) -> Result<File, Failure> {
        self.file.flush().await.map_err(no_room)?;
        let mut file = self.file.into_std().await;
        file.rewind().map_err(no_room)?;
        Ok(file)
    }
}

/// What is said of a file that is too large.
pub fn too_large() -> Failure {
    Failure::new(Code::E006, format!("the file is larger than {} MB: import it in parts", LARGEST_FILE >> 20))
}

fn no_room(error: std::io::Error) -> Failure {
    let message = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "there is no room in DATA_DIR for the file"
        }
        _ => "the file cannot be put into DATA_DIR",
    };
    Failure::new(Code::E501, message).caused_by("io::Error", error)
}
