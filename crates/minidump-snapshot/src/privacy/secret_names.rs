/// Parts of names that tell a secret wherever they stand. Each begins with one of [`BEGINNINGS`].
const ANYWHERE: &[&[u8]] = &[
    b"PASSWD",
    b"PASSWORD",
    b"PASSPHRASE",
    b"SECRET",
    b"CREDENTIAL",
    b"COOKIE",
    b"CONNECTION_STRING",
    b"CONNECTIONSTRING",
];

/// The same, unless it is about taking texts apart, which keeps no secrets: `TOKENIZER`.
const TOKEN: &[u8] = b"TOKEN";

/// What secret parts begin with. A look for all of them at every place would take longer than all else here.
const BEGINNINGS: &[u8] = b"PSCT";

/// Words that tell a secret when they stand alone or at the end of a longer word, as in `DBPASS` and `APIKEY`.
const ENDINGS: &[&[u8]] = &[b"PASS", b"PWD", b"KEY", b"KEYS", b"AUTH"];

/// Words that tell a secret when they stand alone.
const WORDS: &[&[u8]] = &[b"PAT", b"AUTHORIZATION", b"OAUTH2", b"JWT"];

/// Words with a secret's ending that mean something else.
const HARMLESS_WORDS: &[&[u8]] = &[
    b"ASKPASS", b"BYPASS", b"COMPASS", b"DONKEY", b"HOCKEY", b"HOTKEY", b"HOTKEYS", b"JOCKEY", b"MONKEY",
    b"MONKEYS", b"OLDPWD", b"TURKEY", b"WHISKEY",
];

/// Whether an environment variable of this name is likely to hold a secret.
///
/// Names are compared without regard to case, word by word: `_` and whatever else is neither letter nor digit ends a
/// word.
pub(super) fn is_secret(name: &[u8]) -> bool {
    let name = name.to_ascii_uppercase();
    // The socket of the ssh agent, and where the shell is.
    if name.ends_with(b"AUTH_SOCK") || name == b"PWD" {
        return false;
    }
    let places = name.iter().enumerate().filter(|(_, byte)| BEGINNINGS.contains(byte));
    let mut rests = places.filter_map(|(at, _)| name.get(at..));
    rests.any(begins_with_secret) || words(&name).any(is_secret_word)
}

/// Whether an environment variable of this name is likely to tell how to reach a database or a service.
pub(super) fn is_data_source(name: &[u8]) -> bool {
    let name = name.to_ascii_uppercase();
    words(&name).any(|word| [b"DSN", b"URL", b"URI"].iter().any(|end| word.ends_with(*end)))
}

fn begins_with_secret(text: &[u8]) -> bool {
    let is_token = text.starts_with(TOKEN) && !is_tokenizer(text);
    is_token || ANYWHERE.iter().any(|part| text.starts_with(part))
}

fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn is_secret_word(word: &[u8]) -> bool {
    let has_ending = ENDINGS.iter().any(|ending| word.ends_with(ending));
    (has_ending && !HARMLESS_WORDS.contains(&word)) || WORDS.contains(&word)
}

fn is_tokenizer(from_token: &[u8]) -> bool {
    from_token.starts_with(b"TOKENIZ") || from_token.starts_with(b"TOKENIS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_anywhere_has_a_known_beginning() {
        for part in ANYWHERE.iter().chain([&TOKEN]) {
            assert!(BEGINNINGS.contains(&part[0]), "{}", part.escape_ascii());
        }
    }

    #[test]
    fn names_that_are_no_text_are_looked_at_too() {
        assert!(is_secret(b"\xff_PASSWORD\xff"));
        assert!(is_secret(b"\xc3KEY"));
        assert!(!is_secret(b"\xff\xfe"));
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "PASSWORD",
            "DB_PASSWORD",
            "PGPASSWORD",
            "MYSQL_ROOT_PASSWORD",
            "dbPassword",
            "PASSWD",
            "SMTP_PASSWD",
            "PASS",
            "DB_PASS",
            "SSHPASS",
            "REDIS_PASS_1",
            "MYSQL_PWD",
            "DBPWD",
            "GPG_PASSPHRASE",
            "SECRET",
            "CLIENT_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "DJANGO_SECRET_KEY",
            "secret_key_base",
            "TOKEN",
            "GITHUB_TOKEN",
            "AWS_SESSION_TOKEN",
            "NPM_TOKEN",
            "VAULT_TOKEN",
            "ACCESSTOKEN",
            "token",
            "KEY",
            "API_KEY",
            "APIKEY",
            "apiKey",
            "OPENAI_API_KEY",
            "PRIVATE_KEY",
            "SSH_PRIVATE_KEY",
            "KEYS",
            "ENCRYPTION_KEYS",
            "MASTERKEY",
            "X-API-KEY",
            "STRIPE.KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "AUTH",
            "BASIC_AUTH",
            "HTTP_AUTH",
            "OAUTH",
            "OAUTH2",
            "npm_config__auth",
            "AUTHORIZATION",
            "PROXY_AUTHORIZATION",
            "COOKIE",
            "SESSION_COOKIE",
            "ERLANG_COOKIE",
            "GH_PAT",
            "JWT",
            "AZURE_STORAGE_CONNECTION_STRING",
            "_KEY_",
            "TOKENIZER_TOKEN",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_of_other_things_are_not_taken_for_secrets() {
        for name in [
            "",
            "PATH",
            "HOME",
            "USER",
            "SHELL",
            "LANG",
            "PWD",
            "OLDPWD",
            "TERM",
            "DISPLAY",
            "XAUTHORITY",
            "KEYBOARD",
            "KEYBOARD_LAYOUT",
            "KEYMAP",
            "XKB_DEFAULT_LAYOUT",
            "XKBMODEL",
            "KEYRING_BACKEND",
            "MONKEY",
            "HOTKEY",
            "AUTHOR",
            "GIT_AUTHOR_NAME",
            "GIT_AUTHOR_EMAIL",
            "AUTHORITY",
            "SSH_AUTH_SOCK",
            "SSH_ASKPASS",
            "GIT_ASKPASS",
            "COMPASS",
            "BYPASS_CACHE",
            "PASSIVE_MODE",
            "PASSENGER_APP_ENV",
            "DESKTOP_SESSION",
            "XDG_SESSION_ID",
            "DBUS_SESSION_BUS_ADDRESS",
            "TOKENIZERS_PARALLELISM",
            "LD_LIBRARY_PATH",
            "PATTERN",
            "PATCH",
            "EDITOR",
            "SESSION_MANAGER",
            "RUST_BACKTRACE",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_of_data_sources_are_known() {
        for name in ["DSN", "SENTRY_DSN", "DATABASE_URL", "MONGO_URI", "REDISURL"] {
            assert!(is_data_source(name.as_bytes()), "{name}");
        }
        for name in ["", "CURLOPT", "URLS_FILE", "PATH"] {
            assert!(!is_data_source(name.as_bytes()), "{name}");
        }
    }
}
