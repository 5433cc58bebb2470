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

/// A component with that many core modules more, each an empty memory.
pub(super) fn crowded(mut component: Vec<u8>, memories: u8) -> Vec<u8> {
    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCE: u8 = 2;
    let modules = sections(&component).filter(|id| *id == CORE_MODULE).count();
    let modules = u8::try_from(modules).expect("few modules");
    // One memory of no pages, in section 5 of a core module.
    let module = b"\0asm\x01\0\0\0\x05\x03\x01\x00\x00";
    component.push(CORE_MODULE);
    length(&mut component, module.len());
    component.extend(module);
    // Instances of that module, each without arguments.
    let instances: Vec<_> = (0..memories).map(|_| vec![0, modules, 0]).collect();
    section(&mut component, CORE_INSTANCE, &instances);
    component
}

/// The ids of a component's sections.
fn sections(component: &[u8]) -> impl Iterator<Item = u8> {
    let mut at = HEADER.len();
    std::iter::from_fn(move || {
        let id = *component.get(at)?;
        let (mut length, mut shift) = (0, 0);
        loop {
            at += 1;
            length |= usize::from(component[at] & 0x7f) << shift;
            shift += 7;
            if component[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + length;
        Some(id)
    })
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
