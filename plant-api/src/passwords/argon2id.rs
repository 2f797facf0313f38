//! Argon2id (RFC 9106) with parameters that OWASP recommends, as PHC strings.
//!
//! The parameters are stored in each hash. A hash with other ones than new hashes have is replaced at
//! the next login, the only moment when the password is known.

use argon2::password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::error::{Error, Result};

/// Memory of one hash, in KiB. Of the settings that OWASP lists as equally strong, this one allows most
/// logins: it fits into the caches. See `docs/decisions/0033-argon2id-settings.md`.
const MEMORY_KIB: u32 = 7_168;
/// Passes over the memory.
const ITERATIONS: u32 = 5;
const LANES: u32 = 1;

/// Verified when there is no account, so that the response takes as long as for an account.
const DUMMY_HASH: &str = "$argon2id$v=19$m=7168,t=5,p=1$bm9ib2R5J3Mgc2FsdC4uLg\
                       $bm9ib2R5J3MgaGFzaCwgYXMgbG9uZyBhcyBvdGhlcnM";

/// Memory that consecutive hashes share, because the kernel has to zero newly allocated pages.
#[derive(Default)]
pub struct Memory(Vec<Block>);

/// Hashes `password` with a random salt.
///
/// # Errors
/// When memory cannot be allocated or the random number generator fails.
pub fn hash(memory: &mut Memory, password: &str) -> Result<String> {
    hash_with(memory, password, Salt::generate())
}

/// Hashes `password` with the given salt, for seeded accounts, whose passwords are public.
///
/// # Errors
/// When the salt is not 8 to 48 bytes long.
pub fn hash_with_salt(password: &str, salt: &[u8]) -> Result<String> {
    hash_with(&mut Memory::default(), password, Salt::new(salt).map_err(internal)?)
}

/// Hashes `password` with the parameters of earlier versions.
#[cfg(test)]
pub(crate) fn hash_with_old_params(password: &str) -> String {
    let params = Params::new(19_456, 2, 1, None).unwrap();
    hash_with_params(&mut Memory::default(), password, Salt::generate(), &params).unwrap()
}

fn hash_with(memory: &mut Memory, password: &str, salt: Salt) -> Result<String> {
    hash_with_params(memory, password, salt, &current_params()?)
}

fn hash_with_params(
    memory: &mut Memory,
    password: &str,
    salt: Salt,
    params: &Params,
) -> Result<String> {
    let output = compute(memory, password, &salt, params.clone(), Params::DEFAULT_OUTPUT_LEN)?;
    let hash = PasswordHash {
        algorithm: Ident::from(Algorithm::Argon2id),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(internal)?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

fn current_params() -> Result<Params> {
    Params::new(MEMORY_KIB, ITERATIONS, LANES, None).map_err(internal)
}

/// Result of the verification of a password.
#[derive(Debug, PartialEq, Eq)]
pub struct Verification {
    /// Whether the password matches the hash.
    pub matches: bool,
    /// A new hash of the password, if it matches and its hash has other parameters than new hashes.
    pub new_hash: Option<String>,
}

/// Verifies that `password` matches `hash`. Without a hash it does not, after the same time.
///
/// # Errors
/// When the hash is not an Argon2 PHC string.
pub fn verify(memory: &mut Memory, password: &str, hash: Option<&str>) -> Result<Verification> {
    let stored = PasswordHash::new(hash.unwrap_or(DUMMY_HASH)).map_err(internal)?;
    let (Some(salt), Some(output)) = (&stored.salt, &stored.hash) else {
        return Err(Error::Internal("password hash without salt or output".into()));
    };
    let params = Params::try_from(&stored).map_err(internal)?;
    let current = current_params()?;
    let is_current = [params.m_cost(), params.t_cost(), params.p_cost()]
        == [current.m_cost(), current.t_cost(), current.p_cost()];
    let computed = compute(memory, password, salt, params, output.len())?;
    // Compares in constant time.
    let matches = computed == *output && hash.is_some();
    let new_hash = (matches && !is_current).then(|| self::hash(memory, password)).transpose()?;
    Ok(Verification { matches, new_hash })
}

fn compute(
    memory: &mut Memory,
    password: &str,
    salt: &Salt,
    params: Params,
    length: usize,
) -> Result<Output> {
    let blocks = params.block_count();
    if memory.0.len() < blocks {
        memory.0.resize(blocks, Block::default());
    }
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..length).ok_or_else(|| internal("hash output too long"))?;
    argon2
        .hash_password_into_with_memory(password.as_bytes(), salt, output, &mut memory.0)
        .map_err(internal)?;
    Output::new(output).map_err(internal)
}

fn internal(source: impl std::fmt::Display) -> Error {
    Error::Internal(format!("password: {source}").into())
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;

    use super::*;

    #[test]
    fn a_hash_is_verified_by_the_argon2_crate() {
        let mut memory = Memory::default();
        let text = hash(&mut memory, "correct horse").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{text}");
        let stored = PasswordHash::new(&text).unwrap();
        Argon2::default().verify_password(b"correct horse", &stored).unwrap();
        Argon2::default().verify_password(b"wrong horse", &stored).unwrap_err();
        assert_ne!(hash(&mut memory, "correct horse").unwrap(), text);
    }

    #[test]
    fn verification_accepts_only_the_hashed_password() {
        let mut memory = Memory::default();
        let text = hash_with_salt("correct horse", b"sixteen bytes...").unwrap();
        assert_eq!(hash_with_salt("correct horse", b"sixteen bytes...").unwrap(), text);
        let right = Verification { matches: true, new_hash: None };
        let wrong = Verification { matches: false, new_hash: None };
        assert_eq!(verify(&mut memory, "correct horse", Some(&text)).unwrap(), right);
        assert_eq!(verify(&mut memory, "correct horsf", Some(&text)).unwrap(), wrong);
        assert_eq!(verify(&mut memory, "correct horse", None).unwrap(), wrong);
    }

    #[test]
    fn a_hash_with_other_parameters_is_replaced_when_the_password_is_known() {
        let mut memory = Memory::default();
        let old = hash_with_old_params("correct horse");
        let verification = verify(&mut memory, "correct horse", Some(&old)).unwrap();
        let new = verification.new_hash.unwrap();
        assert!(verification.matches && new.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{new}");
        let again = verify(&mut memory, "correct horse", Some(&new)).unwrap();
        assert_eq!(again, Verification { matches: true, new_hash: None });
        let wrong = verify(&mut memory, "wrong horse", Some(&old)).unwrap();
        assert_eq!(wrong, Verification { matches: false, new_hash: None });
    }

    #[test]
    fn the_dummy_hash_costs_as_much_as_a_real_one() {
        let dummy = PasswordHash::new(DUMMY_HASH).unwrap();
        let real = hash(&mut Memory::default(), "x").unwrap();
        let real = PasswordHash::new(&real).unwrap();
        assert_eq!(dummy.params, real.params);
        assert_eq!(dummy.salt.unwrap().len(), real.salt.unwrap().len());
        assert_eq!(dummy.hash.unwrap().len(), real.hash.unwrap().len());
    }
}
