use super::*;

fn tokens(secret: &str) -> Tokens {
    Tokens::new(&Secret(secret.into())).unwrap()
}

fn holder() -> Holder {
    Holder {
        account: Uuid::from_u128(1),
        session: Uuid::from_u128(2),
        role: Role::User,
        customer: "lotus".into(),
    }
}

fn noon() -> DateTime<Utc> {
    "2026-01-14T12:00:00Z".parse().unwrap()
}

fn refused(read: Result<Holder>) -> &'static str {
    match read {
        Err(Error::Unauthenticated(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_tells_whom_it_was_issued_to() {
    let tokens = tokens("secret");
    let access = tokens.issue_access(&holder(), noon()).unwrap();
    assert_eq!(tokens.read_access(&access, noon()).unwrap(), holder());
    let refresh = tokens.issue_refresh(&holder(), noon()).unwrap();
    assert_eq!(tokens.read_refresh(&refresh, noon()).unwrap(), holder());
}

#[test]
fn a_token_is_good_for_its_lifetime_and_not_a_second_longer() {
    let tokens = tokens("secret");
    let access = tokens.issue_access(&holder(), noon()).unwrap();
    let end = noon() + ACCESS_LIFETIME;
    tokens.read_access(&access, end - TimeDelta::seconds(1)).unwrap();
    assert_eq!(refused(tokens.read_access(&access, end)), "the token has expired");
}

#[test]
fn one_type_is_not_taken_for_the_other() {
    let tokens = tokens("secret");
    let refresh = tokens.issue_refresh(&holder(), noon()).unwrap();
    assert_eq!(refused(tokens.read_access(&refresh, noon())), "the token is of the wrong type");
    let access = tokens.issue_access(&holder(), noon()).unwrap();
    assert_eq!(refused(tokens.read_refresh(&access, noon())), "the token is of the wrong type");
}

#[test]
fn what_was_not_signed_here_is_refused() {
    let ours = tokens("secret");
    let somebody = Holder { account: Uuid::from_u128(3), ..holder() };
    let theirs = tokens("another").issue_access(&somebody, noon()).unwrap();
    let good = ours.issue_access(&holder(), noon()).unwrap();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{head}.");
    let swapped = format!("{}.{signature}", theirs.rsplit_once('.').unwrap().0);
    for token in [theirs.as_str(), &unsigned, &swapped, "", "a.b.c", "..", "é"] {
        let why = refused(ours.read_access(token, noon()));
        assert_eq!(why, "the token is not one of this service", "{token}");
    }
}

#[test]
fn two_refresh_tokens_of_one_second_differ() {
    let tokens = tokens("secret");
    let one = tokens.issue_refresh(&holder(), noon()).unwrap();
    assert_ne!(tokens.issue_refresh(&holder(), noon()).unwrap(), one);
}

#[test]
fn a_fingerprint_needs_the_secret() {
    assert_eq!(tokens("secret").fingerprint(b"x"), tokens("secret").fingerprint(b"x"));
    assert_ne!(tokens("secret").fingerprint(b"x"), tokens("another").fingerprint(b"x"));
    assert_ne!(tokens("secret").fingerprint(b"x"), tokens("secret").fingerprint(b"y"));
}
