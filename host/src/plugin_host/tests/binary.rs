//! Small components written byte by byte: such as no toolchain makes.

const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// Sections of a component's binary, as the specification numbers them.
const INSTANCE: u8 = 5;
const TYPE: u8 = 7;
const IMPORT: u8 = 10;
const EXPORT: u8 = 11;

/// A component that imports this interface, with one function without
/// parameters and results in it if one is named, and exports these
/// interfaces, all empty.
pub(super) fn component(import: &str, function: Option<&str>, exports: &[&str]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    let instance_type = match function {
        None => vec![0x42, 0],
        Some(function) => {
            let mut ty = vec![0x42, 2, 1, 0x40, 0, 1, 0, 4];
            ty.extend(name(function));
            ty.extend([1, 0]);
            ty
        }
    };
    section(&mut bytes, TYPE, &[instance_type]);
    section(&mut bytes, IMPORT, &[[name(import), vec![5, 0]].concat()]);
    // Instance 0 is the import, instance 1 this one: no exports of its own.
    section(&mut bytes, INSTANCE, &[vec![1, 0]]);
    let exports: Vec<_> = exports.iter().map(|export| [name(export), vec![5, 1, 0]].concat()).collect();
    section(&mut bytes, EXPORT, &exports);
    bytes
}

fn name(name: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    length(&mut bytes, name.len());
    bytes.extend(name.as_bytes());
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, items: &[Vec<u8>]) {
    let mut content = Vec::new();
    length(&mut content, items.len());
    content.extend(items.concat());
    bytes.push(id);
    length(bytes, content.len());
    bytes.extend(content);
}

/// LEB128, up to 16,383.
fn length(bytes: &mut Vec<u8>, length: usize) {
    let (low, high) = (length & 0x7f, length >> 7);
    if high == 0 {
        bytes.push(u8::try_from(low).expect("7 bits"));
    } else {
        bytes.push(u8::try_from(low | 0x80).expect("8 bits"));
        bytes.push(u8::try_from(high).expect("a short section"));
    }
}
