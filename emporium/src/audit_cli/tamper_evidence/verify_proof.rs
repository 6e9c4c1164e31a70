//! `emporium audit verify-proof`: checks a proof with nothing but the public key.

use super::EvidenceError;
use super::keys::KeyArgs;
use super::proof_file::ProofFile;
use clap::Args;
use std::path::PathBuf;

/// `emporium audit verify-proof …`
#[derive(Debug, Args)]
pub struct VerifyProofArgs {
    /// What `emporium audit prove` has written
    pub file: PathBuf,
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// Checks it, and says what it proves.
pub fn run(args: &VerifyProofArgs) -> Result<(), EvidenceError> {
    let keys = args.keys.read()?;
    let path = &args.file;
    let text =
        std::fs::read_to_string(path).map_err(|source| EvidenceError::File { path: path.clone(), source })?;
    let file =
        ProofFile::read(&text).map_err(|source| EvidenceError::NotAProof { path: path.clone(), source })?;
    let event = file.event();
    file.proof
        .check(&event, &keys)
        .map_err(|source| EvidenceError::FalseProof { path: path.clone(), source })?;
    let (seal, tree) = (&file.proof.seal, &file.proof.path);
    println!("proved: event {} of {} ({}) was sealed", event.revision, event.stream, event.event_type);
    println!("event  {} of the {} that the seal covers", tree.index + 1, tree.size);
    println!("seal   of {}, made with key {}", seal.sealed_at.format("%Y-%m-%dT%H:%M:%SZ"), seal.key);
    Ok(())
}
