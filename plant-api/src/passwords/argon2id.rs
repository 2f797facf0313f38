//! Argon2id (RFC 9106) at the least that OWASP recommends, as PHC strings.

use argon2::password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::error::{Error, Result};

/// KiB that a hash fills.
const MEMORY: u32 = 19_456;
/// Times that it is filled.
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What is verified where there is no account: the same work as for an account, for nothing.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg\
                       $bm9ib2R5J3MgaGFzaCwgYXMgbG9uZyBhcyBvdGhlcnM";

/// The memory that hashes fill, one after the other: fresh memory would be cleared by the system
/// each time, page by page.
#[derive(Default)]
pub struct Memory(Vec<Block>);

/// The hash of `password` under a salt that was never there before.
///
/// # Errors
/// When the machine has no memory or no randomness left.
pub fn hash(memory: &mut Memory, password: &str) -> Result<String> {
    hash_with(memory, password, Salt::generate())
}

/// The hash of `password` under this salt, for planted accounts, whose passwords are no secret.
///
/// # Errors
/// When the salt is not of 8 to 48 bytes.
pub fn hash_with_salt(password: &str, salt: &[u8]) -> Result<String> {
    hash_with(&mut Memory::default(), password, Salt::new(salt).map_err(internal)?)
}

fn hash_with(memory: &mut Memory, password: &str, salt: Salt) -> Result<String> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(internal)?;
    let output = fill(memory, password, &salt, params.clone(), Params::DEFAULT_OUTPUT_LEN)?;
    let hash = PasswordHash {
        algorithm: Ident::from(Algorithm::Argon2id),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(internal)?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// Whether `password` is the one that was hashed. Without a hash it never is, and takes as long.
///
/// # Errors
/// When the hash is not a PHC string of Argon2.
pub fn verify(memory: &mut Memory, password: &str, hash: Option<&str>) -> Result<bool> {
    let known = PasswordHash::new(hash.unwrap_or(NOBODYS)).map_err(internal)?;
    let (Some(salt), Some(output)) = (&known.salt, &known.hash) else {
        return Err(Error::Internal("a password's hash without salt or output".into()));
    };
    let params = Params::try_from(&known).map_err(internal)?;
    let again = fill(memory, password, salt, params, output.len())?;
    // Takes the same time wherever they differ.
    Ok(again == *output && hash.is_some())
}

fn fill(
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
    let output = output.get_mut(..length).ok_or_else(|| internal("too long an output"))?;
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
    fn a_hash_is_what_anybody_else_takes_for_one() {
        let mut memory = Memory::default();
        let text = hash(&mut memory, "correct horse").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        let known = PasswordHash::new(&text).unwrap();
        Argon2::default().verify_password(b"correct horse", &known).unwrap();
        Argon2::default().verify_password(b"wrong horse", &known).unwrap_err();
        assert_ne!(hash(&mut memory, "correct horse").unwrap(), text);
    }

    #[test]
    fn a_hash_tells_its_password_from_others() {
        let mut memory = Memory::default();
        let text = hash_with_salt("correct horse", b"sixteen bytes...").unwrap();
        assert_eq!(hash_with_salt("correct horse", b"sixteen bytes...").unwrap(), text);
        assert!(verify(&mut memory, "correct horse", Some(&text)).unwrap());
        assert!(!verify(&mut memory, "correct horsf", Some(&text)).unwrap());
        assert!(!verify(&mut memory, "correct horse", None).unwrap());
    }

    #[test]
    fn nobodys_hash_is_of_the_same_cost_as_any() {
        let nobodys = PasswordHash::new(NOBODYS).unwrap();
        let any = hash(&mut Memory::default(), "x").unwrap();
        let any = PasswordHash::new(&any).unwrap();
        assert_eq!(nobodys.params, any.params);
        assert_eq!(nobodys.salt.unwrap().len(), any.salt.unwrap().len());
        assert_eq!(nobodys.hash.unwrap().len(), any.hash.unwrap().len());
    }
}
