use super::*;

const PARTNER: Uuid = Uuid::from_u128(2);
const DATA: AssociatedData =
    AssociatedData { column: "users.ssn", row: Uuid::from_u128(1), partner: PARTNER };

/// Returns a vault with a partner that has these versions of a data key.
fn vault(versions: &[(u32, u8)], older: Option<Key>) -> Vault {
    let key = |byte| Secret::new([byte; 32]);
    let system = SystemKeys {
        index: key(1),
        pepper: key(2),
        fingerprint: key(3),
        tokens: key(4),
        passcodes: key(5),
        older,
    };
    let versions = versions.iter().map(|(number, byte)| (*number, key(*byte))).collect();
    let partners = RwLock::new(HashMap::from([
        (PARTNER, versions),
        (Uuid::from_u128(3), Versions::from([(1, key(77))])),
    ]));
    Vault(Arc::new(Keys {
        ring: Ring { current: Kek::new(&key(7)), previous: None },
        system,
        partners,
        missed: Notify::new(),
        heads_signed: AtomicBool::new(true),
    }))
}

#[test]
fn a_ciphertext_can_be_decrypted_only_in_its_own_place() {
    let one = vault(&[(1, 10)], None);
    let sealed = one.seal(DATA, b"078051120").unwrap();
    assert_eq!(one.open(DATA, &sealed).unwrap().reveal(), b"078051120");
    assert!(!sealed.windows(9).any(|window| window == b"078051120"));
    for other in [
        AssociatedData { column: "users.phone", ..DATA },
        AssociatedData { row: Uuid::from_u128(3), ..DATA },
        AssociatedData { partner: Uuid::from_u128(3), ..DATA },
        AssociatedData { partner: Uuid::from_u128(4), ..DATA },
    ] {
        assert!(one.open(other, &sealed).is_err());
    }
    assert!(vault(&[(1, 11)], None).open(DATA, &sealed).is_err());
    assert!((0..sealed.len()).all(|length| one.open(DATA, &sealed[..length]).is_err()));
}

#[test]
fn a_ciphertext_contains_the_version_of_its_key() {
    let sealed = vault(&[(1, 10)], None).seal(DATA, b"first").unwrap();
    assert_eq!((version_of(&sealed), &sealed[..5]), (Some(1), &[1, 0, 0, 0, 1][..]));
    let both = vault(&[(1, 10), (2, 11)], None);
    assert_eq!(both.open(DATA, &sealed).unwrap().reveal(), b"first");
    let newer = both.seal(DATA, b"second").unwrap();
    assert_eq!((version_of(&newer), both.newest_version(PARTNER)), (Some(2), Some(2)));
    let unknown = vault(&[(1, 10)], None).open(DATA, &newer).unwrap_err();
    assert_eq!(unknown.cause(), format!("users.ssn of {} needs a data key that is not loaded", DATA.row));
    let mut renumbered = sealed;
    renumbered[4] = 2;
    assert!(vault(&[(1, 10), (2, 10)], None).open(DATA, &renumbered).is_err());
}

#[test]
fn values_from_before_partners_had_keys_can_be_decrypted() {
    let older = Kek::new(&Secret::new([7; 32])).derived(Purpose::Data);
    assert_eq!(older.reveal(), &hmac_sha256(&[7; 32], b"coffer personal data"));
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let sealed = envelope::encrypt(&older, &DATA.bytes(), b"078051120").unwrap();
        seen[usize::from(sealed[0] == FORMAT)] = true;
        assert_eq!(
            vault(&[(1, 10)], Some(older.clone())).open(DATA, &sealed).unwrap().reveal(),
            b"078051120"
        );
        assert!(vault(&[(1, 10)], None).open(DATA, &sealed).is_err());
    }
}

#[test]
fn a_partner_without_a_key_cannot_encrypt() {
    let unknown = AssociatedData { partner: Uuid::from_u128(4), ..DATA };
    let error = vault(&[(1, 10)], None).seal(unknown, b"x").unwrap_err();
    assert_eq!(error.cause(), format!("users.ssn of {} needs a data key that is not loaded", DATA.row));
}
