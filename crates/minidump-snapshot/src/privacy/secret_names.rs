/// Parts of names that tell a secret wherever they stand.
const ANYWHERE: &[&str] = &[
    "PASSWD",
    "PASSWORD",
    "PASSPHRASE",
    "SECRET",
    "CREDENTIAL",
    "COOKIE",
    "CONNECTION_STRING",
    "CONNECTIONSTRING",
];

/// Words that tell a secret when they stand alone or at the end of a longer word, as in `DBPASS` and `APIKEY`.
const ENDINGS: &[&str] = &["PASS", "PWD", "KEY", "KEYS", "AUTH"];

/// Words that tell a secret when they stand alone.
const WORDS: &[&str] = &["PAT", "AUTHORIZATION", "OAUTH2", "JWT"];

/// Words with a secret's ending that mean something else.
const HARMLESS_WORDS: &[&str] = &[
    "ASKPASS", "BYPASS", "COMPASS", "DONKEY", "HOCKEY", "HOTKEY", "HOTKEYS", "JOCKEY", "MONKEY", "MONKEYS",
    "OLDPWD", "TURKEY", "WHISKEY",
];

/// Whether an environment variable of this name is likely to hold a secret.
///
/// Names are compared without regard to case, word by word: `_` and whatever else is neither letter nor digit ends a
/// word.
pub(super) fn is_secret(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    // The socket of the ssh agent, and where the shell is.
    if name.ends_with("AUTH_SOCK") || name == "PWD" {
        return false;
    }
    let is_token = name.match_indices("TOKEN").any(|(at, _)| !name.get(at..).is_some_and(is_tokenizer));
    is_token || ANYWHERE.iter().any(|part| name.contains(part)) || words(&name).any(is_secret_word)
}

/// Whether an environment variable of this name is likely to tell how to reach a database or a service.
pub(super) fn is_data_source(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    words(&name).any(|word| ["DSN", "URL", "URI"].iter().any(|end| word.ends_with(end)))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn is_secret_word(word: &str) -> bool {
    let has_ending = ENDINGS.iter().any(|ending| word.ends_with(ending));
    (has_ending && !HARMLESS_WORDS.contains(&word)) || WORDS.contains(&word)
}

/// A tokenizer takes texts apart and keeps no secrets.
fn is_tokenizer(from_token: &str) -> bool {
    from_token.starts_with("TOKENIZ") || from_token.starts_with("TOKENIS")
}

#[cfg(test)]
mod tests {
    use super::*;

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
