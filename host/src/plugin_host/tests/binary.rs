//! Small components written byte by byte: such as no toolchain makes.

/// A component that exports `get-arguments` of WASI, which answers a list of
/// texts, as this function of this interface, and these interfaces empty.
pub(super) fn mistaken(interface: &str, function: &str, exports: &[&str]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    // An instance type: a list of strings, a function that answers one, and
    // the export of such a function.
    let mut ty = vec![0x42, 3, 1, 0x70, 0x73, 1, 0x40, 0, 0, 0, 4];
    ty.extend(name("get-arguments"));
    ty.extend([1, 1]);
    section(&mut bytes, TYPE, &[ty]);
    let import = [name("wasi:cli/environment@0.2.0"), vec![5, 0]].concat();
    section(&mut bytes, IMPORT, &[import]);
    // Function 0 is the one of instance 0.
    let alias = [vec![1, 0, 0], name("get-arguments")[1..].to_vec()].concat();
    section(&mut bytes, ALIAS, &[alias]);
    // Instance 1 is empty, instance 2 has the function under its new name.
    let renamed = [vec![1, 1], name(function), vec![1, 0]].concat();
    section(&mut bytes, INSTANCE, &[vec![1, 0], renamed]);
    let mut items = vec![[name(interface), vec![5, 2, 0]].concat()];
    items.extend(exports.iter().map(|export| [name(export), vec![5, 1, 0]].concat()));
    section(&mut bytes, EXPORT, &items);
    bytes
}

const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// Sections of a component's binary, as the specification numbers them.
const INSTANCE: u8 = 5;
const ALIAS: u8 = 6;
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
    let exports: Vec<_> = exports
        .iter()
        .map(|export| [name(export), vec![5, 1, 0]].concat())
        .collect();
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
