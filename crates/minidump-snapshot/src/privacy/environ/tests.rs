use super::*;
use proptest::prelude::*;

fn text_of(environ: &[u8]) -> String {
    String::from_utf8(redact_environ(environ).text).unwrap()
}

#[test]
fn values_of_secret_names_are_hidden_and_all_else_stays_byte_for_byte() {
    let environ = b"PATH=/bin:/usr/bin\0DB_PASSWORD=hunter2\0LANG=C\0API_KEY=\0token=a=b\0";
    let redacted = redact_environ(environ);
    let expected = b"PATH=/bin:/usr/bin\0DB_PASSWORD=*******\0LANG=C\0API_KEY=\0token=***\0";
    assert_eq!(redacted.text, expected);
    assert_eq!(redacted.secrets, [31..38, 61..64]);
    assert_eq!(redacted.addresses(0x7ffe_0000), [0x7ffe_001f..0x7ffe_0026, 0x7ffe_003d..0x7ffe_0040]);
}

#[test]
fn an_environment_without_its_last_zero_byte_is_redacted_as_well() {
    assert_eq!(text_of(b"A=1\0SECRET=xyz"), "A=1\0SECRET=***");
}

#[test]
fn what_is_no_entry_stays_as_it_is() {
    for environ in [b"".as_slice(), b"\0\0\0", b"PASSWORD\0", b"nginx: worker process\0\0", b"=\0", b"=x\0"] {
        assert_eq!(redact_environ(environ), Redacted { text: environ.to_vec(), secrets: vec![] });
    }
}

#[test]
fn values_that_are_not_utf8_are_hidden_by_the_byte() {
    assert_eq!(redact_environ(b"PASS=\xff\xfe\xc3\0").text, b"PASS=***\0");
}

#[test]
fn passwords_in_urls_are_hidden_whatever_the_name() {
    for (environ, expected) in [
        ("DATABASE_URL=postgres://app:hunter2@db/x", "DATABASE_URL=postgres://app:*******@db/x"),
        ("http_proxy=http://me:pw@proxy:3128/", "http_proxy=http://me:**@proxy:3128/"),
        ("X=a redis://:pw@r1:6379, redis://:pq@r2", "X=a redis://:**@r1:6379, redis://:**@r2"),
        ("A=jdbc://h/?from=http://u:pw@h2/x", "A=jdbc://h/?from=http://u:**@h2/x"),
        ("A=http://u:p@ss@host/", "A=http://u:****@host/"),
        ("A=http://u:p/w@host/x", "A=http://u:***@host/x"),
        ("A=http://u:1?2@host", "A=http://u:1?2@host"),
        ("GIT=https://ghp_0123456789abcdef@github.com/x", "GIT=https://********************@github.com/x"),
        ("DSN=app:pw@tcp(db:3306)/base", "DSN=app:**@tcp(db:3306)/base"),
        ("PG_DSN=host=db password=pw user=me", "PG_DSN=host=db password=** user=me"),
        ("A=http://u:p,w;x@host/", "A=http://u:*****@host/"),
        ("A=jdbc:x://h/b?user=u&password=p=w&z=1", "A=jdbc:x://h/b?user=u&password=***&z=1"),
        ("STORE=Name=n;AccountKey=abc==;Suffix=s", "STORE=Name=n;AccountKey=*****;Suffix=s"),
        (
            "JAVA_OPTS=-Xmx1g -Djavax.net.ssl.keyStorePassword=pw",
            "JAVA_OPTS=-Xmx1g -Djavax.net.ssl.keyStorePassword=**",
        ),
        ("A=http://u:a?password=b@h", "A=http://u:**************"),
    ] {
        assert_eq!(text_of(environ.as_bytes()), expected);
    }
}

#[test]
fn urls_without_secrets_stay() {
    for environ in [
        "DATABASE_URL=postgres://db:5432/base",
        "A=http://localhost:8080/x@y",
        "A=https://example.org/?mail=me@example.org",
        "GIT=ssh://git@github.com/x",
        "A=http://[::1]:8080/",
        "A=://",
        "A=x://@",
        "DSN=file:base.sqlite",
        "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus",
    ] {
        assert_eq!(text_of(environ.as_bytes()), environ);
    }
}

proptest! {
    #[test]
    fn text_keeps_its_length_and_differs_only_inside_the_secrets(
        environ in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"=:/@\0KEYPASSURL_".to_vec())], 0..200),
    ) {
        let redacted = redact_environ(&environ);
        prop_assert_eq!(redacted.text.len(), environ.len());
        let mut end = 0;
        for secret in &redacted.secrets {
            prop_assert!(end <= secret.start && secret.start < secret.end, "sorted, not empty, no overlap");
            prop_assert!(redacted.text[secret.clone()].iter().all(|byte| *byte == b'*'));
            prop_assert_eq!(&redacted.text[end..secret.start], &environ[end..secret.start]);
            end = secret.end;
        }
        prop_assert_eq!(&redacted.text[end..], &environ[end..]);
    }
}
