use super::secret_names::{is_data_source, is_secret};
use std::ops::Range;

/// What a hidden byte of an environment reads as.
const HIDDEN: u8 = b'*';

/// What is between the scheme and the authority of a URL (RFC 3986 §3).
const SCHEME_END: &[u8] = b"://";

/// An environment in which secrets are hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redacted {
    /// The text, as long as it was, with `*` for each byte of a secret.
    pub text: Vec<u8>,
    /// Where the secrets lie in the text, in bytes, by ascending offset.
    pub secrets: Vec<Range<usize>>,
}

impl Redacted {
    /// Where the secrets lie in the target's memory, when the environment lies at `address` there.
    #[must_use]
    pub fn addresses(&self, address: u64) -> Vec<Range<u64>> {
        let at = |offset: usize| address.saturating_add(offset as u64);
        self.secrets.iter().map(|secret| at(secret.start)..at(secret.end)).collect()
    }
}

/// Hides secrets in an environment: `NAME=value` entries, each with a zero byte behind it, as in /proc/PID/environ.
///
/// The value of a variable whose name looks like that of a password, key, token or the like is hidden as a whole. In
/// any value these are hidden: the password in a URL, a user name of 20 characters or more in one, which is a token, and
/// the values of parameters (`?name=value&`, `name=value;`) whose names look secret.
#[must_use]
pub fn redact_environ(environ: &[u8]) -> Redacted {
    let mut redacted = Redacted { text: environ.to_vec(), secrets: Vec::new() };
    let mut start = 0_usize;
    for entry in environ.split(|byte| *byte == 0) {
        if let Some(equals) = entry.iter().position(|byte| *byte == b'=') {
            let (name, value) = entry.split_at(equals);
            let value = value.get(1..).unwrap_or_default();
            let value_start = start.saturating_add(equals).saturating_add(1);
            let secrets = secrets_of(name, value).into_iter().filter(|secret| !secret.is_empty());
            redacted
                .secrets
                .extend(secrets.map(|secret| value_start + secret.start..value_start + secret.end));
        }
        start = start.saturating_add(entry.len()).saturating_add(1);
    }
    for secret in &redacted.secrets {
        redacted.text.get_mut(secret.clone()).unwrap_or_default().fill(HIDDEN);
    }
    redacted
}

/// Where the secrets lie in the value of a variable, sorted and without overlaps.
fn secrets_of(name: &[u8], value: &[u8]) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    if is_secret(name) {
        secrets.push(0..value.len());
        return secrets;
    }
    find_user_secrets(value, &mut secrets);
    // As drivers for MySQL have it: `user:password@tcp(host)/base`.
    let may_be_source = secrets.is_empty() && value.contains(&b'@');
    if may_be_source && is_data_source(name) && position(value, SCHEME_END).is_none() {
        secrets.extend(user_secret(value));
    }
    find_parameters(value, &mut secrets);
    joined(secrets)
}

/// Finds the secrets in front of the hosts of URLs.
fn find_user_secrets(value: &[u8], secrets: &mut Vec<Range<usize>>) {
    let mut next = position(value, SCHEME_END).map(|found| found + SCHEME_END.len());
    while let Some(start) = next {
        let rest = value.get(start..).unwrap_or_default();
        // A URL in the parameters of another one is looked at by itself.
        let end = position(rest, SCHEME_END);
        let url = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let secret = url.split(u8::is_ascii_whitespace).next().and_then(user_secret);
        secrets.extend(secret.map(|secret| start + secret.start..start + secret.end));
        next = end.map(|end| start + end + SCHEME_END.len());
    }
}

/// Finds the values of parameters whose names look secret: `?password=...&`, `AccountKey=...;`, `-Dtoken=... `.
fn find_parameters(value: &[u8], secrets: &mut Vec<Range<usize>>) {
    if !value.contains(&b'=') {
        return;
    }
    let mut start = 0_usize;
    for parameter in value.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'&' | b';' | b'?')) {
        let end = start.saturating_add(parameter.len());
        if let Some(equals) = parameter.iter().position(|byte| *byte == b'=')
            && parameter.get(..equals).is_some_and(is_secret)
        {
            secrets.push(start + equals + 1..end);
        }
        start = end.saturating_add(1);
    }
}

/// The same places, sorted and without overlaps.
fn joined(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_unstable_by_key(|place| (place.start, place.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(places.len());
    for place in places {
        match joined.last_mut().filter(|last| place.start < last.end) {
            Some(last) => last.end = last.end.max(place.end),
            None => joined.push(place),
        }
    }
    joined
}

/// Where the secret lies in what follows the `//` of a URL: the password in `user:password@host`, or all of a long
/// `token@host`.
fn user_secret(url: &[u8]) -> Option<Range<usize>> {
    const TOKEN_SIZE: usize = 20;
    let authority = url.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(url.len());
    let in_authority = url.get(..authority)?.iter().rposition(|byte| *byte == b'@');
    let colon = url.iter().position(|byte| *byte == b':');
    match (colon, in_authority) {
        (Some(colon), Some(end)) if colon < end => Some(colon + 1..end),
        (_, Some(end)) => Some(0..end).filter(|user| user.len() >= TOKEN_SIZE),
        // A password with a slash in it, unless what looks like one is a port.
        (Some(colon), None) => {
            let port = url.get(colon + 1..authority).unwrap_or_default();
            let end = url.iter().rposition(|byte| *byte == b'@').filter(|end| colon < *end)?;
            let is_port = colon < authority && port.iter().all(u8::is_ascii_digit);
            (!is_port && colon < authority).then_some(colon + 1..end)
        }
        (None, None) => None,
    }
}

fn position(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let first = pattern.first();
    bytes.windows(pattern.len()).position(|window| window.first() == first && window == pattern)
}

#[cfg(test)]
mod tests;
