//! How the numbers of a reading rest: their names once in a layout, which is
//! the list of a PID catalogue's fields, and the numbers alone in each
//! reading. No SQL of readings, and no meaning of a field, lives here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use sqlx::{AnyPool, Row};

use super::StoreError;

/// The fields that a reading may have, sorted by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    id: i64,
    names: Vec<String>,
}

/// The numbers of one reading; equal if all is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub(super) layout_id: i64,
    pub(super) numbers: Vec<u8>,
}

impl Packed {
    /// Id of the layout, and the packed numbers: two columns of a row.
    pub fn into_parts(self) -> (i64, Vec<u8>) {
        (self.layout_id, self.numbers)
    }
}

impl Layout {
    /// The layout with these fields, in any order.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        let digest = Sha256::digest(names.join("\n"));
        let id = i64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
        // The database may know no numbers below 0 as ids; 63 bits are enough.
        Self { id: id & i64::MAX, names }
    }

    /// The names of its fields, sorted.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Packs the fields of a reading, sorted by name: a bit for each field of
    /// the layout, lowest first, then the numbers that are there as
    /// little-endian `f64`. A field that the layout does not have is left out.
    pub fn pack(&self, fields: &[(&str, f64)]) -> Packed {
        let places = self.names.len().div_ceil(8);
        let mut numbers = vec![0; places];
        numbers.reserve_exact(fields.len() * size_of::<f64>());
        let mut fields = fields.iter().peekable();
        for (place, name) in self.names.iter().enumerate() {
            let mut field = fields.next_if(|(field, _)| *field == name);
            while field.is_none() && fields.next_if(|(field, _)| *field < name.as_str()).is_some() {
                field = fields.next_if(|(field, _)| *field == name);
            }
            if let Some((_, number)) = field {
                numbers[place / 8] |= 1 << (place % 8);
                numbers.extend_from_slice(&number.to_le_bytes());
            }
        }
        Packed { layout_id: self.id, numbers }
    }

    /// The fields of a packed reading: place and number.
    ///
    /// # Errors
    /// The bytes are not what [`pack`](Self::pack) made.
    pub(super) fn unpack<'b>(
        &self,
        packed: &'b [u8],
    ) -> Result<impl Iterator<Item = (usize, f64)> + use<'b>, StoreError> {
        let torn = || StoreError::Unexpected("a reading is not as long as its layout says".to_owned());
        let fields = self.names.len();
        let (bits, numbers) = packed.split_at_checked(fields.div_ceil(8)).ok_or_else(torn)?;
        let (numbers, rest) = numbers.as_chunks::<{ size_of::<f64>() }>();
        let places = (0..fields).filter(|place| bits[place / 8] >> (place % 8) & 1 == 1);
        if !rest.is_empty() || places.clone().count() != numbers.len() {
            return Err(torn());
        }
        Ok(places.zip(numbers).map(|(place, bytes)| (place, f64::from_le_bytes(*bytes))))
    }

    /// The fields of a packed reading: name and number, sorted by name.
    ///
    /// # Errors
    /// The bytes are not what [`pack`](Self::pack) made.
    pub(super) fn named<'b>(
        &'b self,
        packed: &'b [u8],
    ) -> Result<impl Iterator<Item = (&'b str, f64)>, StoreError> {
        Ok(self.unpack(packed)?.map(|(place, number)| (self.names[place].as_str(), number)))
    }
}

/// The layouts of a database: the one in use and those of earlier catalogues.
pub(super) struct Layouts {
    pub(super) current: Arc<Layout>,
    known: RwLock<HashMap<i64, Arc<Layout>>>,
}

impl Layouts {
    /// Keeps the layout in use and reads the others.
    pub(super) async fn open(writes: &AnyPool, current: Layout) -> Result<Self, StoreError> {
        let names = serde_json::to_string(&current.names).expect("a list of texts is JSON");
        sqlx::query("INSERT INTO layouts (layout_id, field_names) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(current.id)
            .bind(names)
            .execute(writes)
            .await?;
        let current = Arc::new(current);
        let layouts = Self { current: current.clone(), known: RwLock::default() };
        layouts.read_all(writes).await?;
        if *layouts.get(writes, current.id).await? != *current {
            return Err(StoreError::Unexpected("two layouts have one id".to_owned()));
        }
        Ok(layouts)
    }

    /// The layout with this id; another host may have added it just now.
    pub(super) async fn get(&self, pool: &AnyPool, id: i64) -> Result<Arc<Layout>, StoreError> {
        if let Some(layout) = self.known(id) {
            return Ok(layout);
        }
        self.read_all(pool).await?;
        self.known(id).ok_or_else(|| StoreError::Unexpected(format!("there is no layout {id}")))
    }

    fn known(&self, id: i64) -> Option<Arc<Layout>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Whether two readings say the same, also in different layouts.
    pub(super) async fn same(
        &self,
        pool: &AnyPool,
        one: &Packed,
        other: &Packed,
    ) -> Result<bool, StoreError> {
        if one.layout_id == other.layout_id {
            return Ok(one.numbers == other.numbers);
        }
        let (one_layout, other_layout) =
            (self.get(pool, one.layout_id).await?, self.get(pool, other.layout_id).await?);
        Ok(one_layout.named(&one.numbers)?.eq(other_layout.named(&other.numbers)?))
    }

    async fn read_all(&self, pool: &AnyPool) -> Result<(), StoreError> {
        for row in sqlx::query("SELECT layout_id, field_names FROM layouts").fetch_all(pool).await? {
            let id = row.try_get("layout_id")?;
            let names = serde_json::from_str(row.try_get("field_names")?)
                .map_err(|error| StoreError::Unexpected(format!("layout {id}: {error}")))?;
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(id, Arc::new(Layout { id, names }));
        }
        Ok(())
    }
}

/// Readings of one trip as columns, by field; NaN where a reading has no
/// number.
#[derive(Default)]
pub(super) struct Columns {
    by_layout: HashMap<i64, (Arc<Layout>, Vec<Vec<f64>>)>,
}

impl Columns {
    /// Adds the reading with this index, which is larger than all before it.
    pub(super) fn add(
        &mut self,
        index: usize,
        layout: &Arc<Layout>,
        packed: &[u8],
    ) -> Result<(), StoreError> {
        let empty = || (layout.clone(), vec![Vec::new(); layout.names.len()]);
        let (_, columns) = self.by_layout.entry(layout.id).or_insert_with(empty);
        for (place, number) in layout.unpack(packed)? {
            columns[place].resize(index, f64::NAN);
            columns[place].push(number);
        }
        Ok(())
    }

    /// The columns of that many readings that have any number, by name.
    pub(super) fn by_name(self, readings: usize) -> BTreeMap<String, Vec<f64>> {
        let mut by_name: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (layout, columns) in self.by_layout.into_values() {
            let columns = layout.names.iter().zip(columns).filter(|(_, column)| !column.is_empty());
            for (name, mut column) in columns {
                column.resize(readings, f64::NAN);
                match by_name.get_mut(name) {
                    // The catalogue was changed during the trip.
                    Some(there) => there
                        .iter_mut()
                        .zip(column)
                        .filter(|(_, number)| !number.is_nan())
                        .for_each(|(there, number)| *there = number),
                    None => {
                        by_name.insert(name.clone(), column);
                    }
                }
            }
        }
        by_name
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

    use super::*;

    fn names(number: usize) -> Vec<String> {
        (0..number).map(|index| format!("field_{index:03}")).collect()
    }

    #[test]
    fn what_is_packed_is_unpacked_whatever_is_there() {
        for number in [0, 1, 7, 8, 9, 64, 70] {
            let names = names(number);
            let layout = Layout::new(names.iter().map(String::as_str));
            for step in [1, 2, 7, 100] {
                let fields: Vec<(&str, f64)> = names
                    .iter()
                    .step_by(step)
                    .enumerate()
                    .map(|(i, name)| (name.as_str(), i as f64 / 3.0))
                    .collect();
                let packed = layout.pack(&fields);
                let unpacked: Vec<_> = layout.named(&packed.numbers).unwrap().collect();
                assert_eq!(unpacked, fields, "{number} fields, each {step}th");
            }
        }
    }

    #[test]
    fn a_layout_is_its_names_in_any_order() {
        assert_eq!(Layout::new(["b", "a"]), Layout::new(["a", "b", "a"]));
        assert_ne!(Layout::new(["b", "a"]).id, Layout::new(["b"]).id);
        assert!(Layout::new(["b", "a"]).id >= 0);
    }

    #[test]
    fn bytes_of_the_wrong_length_are_an_error() {
        let layout = Layout::new(["a", "b", "c"]);
        let packed = layout.pack(&[("a", 1.0), ("c", 2.0)]).numbers;
        for length in 0..packed.len() {
            assert!(layout.unpack(&packed[..length]).is_err(), "{length} bytes");
        }
        assert!(layout.unpack(&[packed.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn columns_of_two_layouts_are_one() {
        let (before, after) = (Arc::new(Layout::new(["a", "b"])), Arc::new(Layout::new(["b", "c"])));
        let mut columns = Columns::default();
        columns.add(0, &before, &before.pack(&[("a", 1.0), ("b", 2.0)]).numbers).unwrap();
        columns.add(1, &after, &after.pack(&[("b", 3.0)]).numbers).unwrap();
        let by_name = columns.by_name(2);
        assert_eq!(by_name.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(by_name["b"], [2.0, 3.0]);
        assert!(by_name["a"][1].is_nan());
    }
}
