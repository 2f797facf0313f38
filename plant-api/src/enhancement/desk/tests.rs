use axum::http::Uri;

use super::allow_list::Target;
use super::{AllowList, html};
use crate::http_client::Reach;

const FAKE_DESK: &str = "http://127.0.0.1:8003";

fn check(hosts: &[&str], url: &str) -> Result<Target, String> {
    let rules = hosts.iter().map(|host| host.parse().unwrap()).collect();
    AllowList::new(rules, None).check(url)
}

#[test]
fn only_listed_hosts_with_their_scheme_and_port_are_allowed() {
    let hosts = [
        "desk.example.com",
        "*.example.org",
        "http://plain.example.net",
        "port.example.net:8443",
        "http://inside.example.net:8080+inside",
        "10.0.0.5",
        "[2001:db8::5]:444",
    ];
    for (url, reach) in [
        ("https://desk.example.com", Reach::Public),
        ("https://DESK.example.com:443/", Reach::Public),
        ("https://a.b.example.org/desk", Reach::Public),
        ("http://plain.example.net", Reach::Public),
        ("http://plain.example.net:80", Reach::Public),
        ("https://port.example.net:8443", Reach::Public),
        ("http://inside.example.net:8080", Reach::Any),
        ("https://10.0.0.5", Reach::Any),
        ("https://[2001:db8::5]:444", Reach::Any),
        ("https://[2001:0db8:0::5]:444", Reach::Any),
    ] {
        assert_eq!(check(&hosts, url).map(|target| target.reach), Ok(reach), "{url}");
    }
    for url in [
        // Other schemes and ports.
        "http://desk.example.com",
        "https://desk.example.com:8443",
        "https://plain.example.net",
        "https://port.example.net",
        "http://inside.example.net",
        "https://desk.example.com:0",
        "https://desk.example.com:99999",
        "https://desk.example.com:",
        "ftp://desk.example.com",
        "file:///etc/passwd",
        "gopher://desk.example.com",
        // Other hosts.
        "https://example.com",
        "https://example.org",
        "https://xdesk.example.com",
        "https://desk.example.com.evil.test",
        "https://evil.test/desk.example.com",
        "https://evilexample.org",
        "https://.example.org",
        "https://a..example.org",
        "https://desk.example.com.",
        "https://a.example.org.",
        "https://desk.example.com%2eevil.test",
        "https://desk.example.com\\@evil.test",
        "https://evil.test#.example.org",
        "https://evil.test?.example.org",
        "https://desk.example.com/?a",
        "https://dësk.example.org",
        // Credentials.
        "https://user@desk.example.com",
        "https://user:secret@desk.example.com",
        "https://desk.example.com@evil.test",
        "https://desk.example.com:443@evil.test",
        // Addresses in any notation.
        "https://127.0.0.1",
        "https://10.0.0.6",
        "http://10.0.0.5",
        "https://10.5",
        "https://167772165",
        "https://0x0a000005",
        "https://012.0.0.5",
        "https://0x0a.0.0.5",
        "https://[::ffff:10.0.0.5]",
        "https://[::1]",
        "https://[fe80::1%25eth0]",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost",
        "https://metadata.google.internal",
        // No URL at all.
        "",
        "desk.example.com",
        "//desk.example.com",
        "https://",
        "https:desk.example.com",
        "/desk",
        "https://desk.example.com\r\nX: y",
        "https://desk.example.com /",
    ] {
        assert!(check(&hosts, url).is_err(), "{url}");
    }
}

#[test]
fn nothing_is_allowed_without_an_entry() {
    assert!(check(&[], "https://desk.example.com").is_err());
}

#[test]
fn the_fake_desk_stands_in_for_its_hosts_only() {
    let rules = ["*.servicedesk.local", "desk.example.com"].map(|host| host.parse().unwrap());
    let fake_desk: Uri = FAKE_DESK.parse().unwrap();
    let list = AllowList::new(rules.to_vec(), Some(fake_desk.clone()));
    let fake = list.check("https://lotus.servicedesk.local/base/").unwrap();
    assert_eq!((fake.base, fake.reach), (fake_desk, Reach::Any));
    assert_eq!((&*fake.host, &*fake.path), ("lotus.servicedesk.local", "/base"));
    let real = list.check("https://desk.example.com").unwrap();
    assert_eq!((real.base.host(), real.reach), (Some("desk.example.com"), Reach::Public));
    // It opens no way to hosts that are not listed, and there is none with required access.
    assert!(list.check("http://lotus.servicedesk.local").is_err());
    assert!(
        AllowList::new(Vec::new(), Some(FAKE_DESK.parse().unwrap()))
            .check("https://lotus.servicedesk.local")
            .is_err()
    );
    let without = AllowList::new(rules.to_vec(), None);
    let target = without.check("https://lotus.servicedesk.local").unwrap();
    assert_eq!(
        (target.base.host(), target.reach),
        (Some("lotus.servicedesk.local"), Reach::Public)
    );
}

#[test]
fn a_note_brings_no_html() {
    assert_eq!(html("<b>a & b</b>\nc"), "&lt;b&gt;a &amp; b&lt;/b&gt;<br />c");
}
