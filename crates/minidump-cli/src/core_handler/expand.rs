//! Values of `kernel.core_pattern` that name another program or a file, expanded as the kernel does (core(5)).

use super::crash::Crash;

/// The words of a program's command line. They are cut apart before they are expanded: a name with spaces stays one word.
pub fn words(pattern: &str, crash: &Crash) -> Vec<Vec<u8>> {
    pattern.split_ascii_whitespace().map(|word| expanded(word, crash, false)).collect()
}

/// The name of a file. No value leads out of its directory.
pub fn name(pattern: &str, crash: &Crash) -> Vec<u8> {
    expanded(pattern, crash, true)
}

fn expanded(text: &str, crash: &Crash, is_file: bool) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len() + 64);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            result.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'%') => result.push(b'%'),
            Some(letter) => {
                let value = crash.value(letter).unwrap_or_default();
                let value = if is_file { harmless(value) } else { value };
                result.extend(value);
            }
            // The kernel drops what has no meaning.
            None => {}
        }
    }
    result
}

/// A value that is no path, whatever a process calls itself.
fn harmless(value: Vec<u8>) -> Vec<u8> {
    if value == b"." || value == b".." {
        return b"!".repeat(value.len());
    }
    value.into_iter().map(|byte| if byte == b'/' || byte == 0 { b'!' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::crash::tests::crash;
    use super::*;

    #[test]
    fn words_are_cut_before_they_are_expanded() {
        let found = words("/lib/helper %P  %f %s-%t %z %%p 100%", &crash("!opt!my app"));
        let found: Vec<String> = found.into_iter().map(|word| String::from_utf8(word).unwrap()).collect();
        assert_eq!(found, ["/lib/helper", "2147483000", "my app", "11-1700000000", "", "%p", "100"]);
    }

    #[test]
    fn no_value_leads_out_of_the_directory() {
        assert_eq!(name("/var/crash/%f.%P", &crash("!opt!a b")), b"/var/crash/a b.2147483000");
        assert_eq!(name("/var/%f/x", &crash("!..")), b"/var/!!/x");
        assert_eq!(harmless(b"../a\0".to_vec()), b"..!a!");
    }
}
