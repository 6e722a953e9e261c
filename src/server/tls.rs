//! TLS of our own: a certificate and its key from two files, which can be read again while the server runs.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Reads a certificate, with those that vouch for it, and its key. What is wrong is said in one line.
pub fn identity(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| format!("COFFER_TLS_CERT: {}: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("COFFER_TLS_CERT: {}: holds no certificate", certificate.display()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("COFFER_TLS_KEY: {}: {error}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| format!("COFFER_TLS_CERT and COFFER_TLS_KEY: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificate that new connections are served with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<RwLock<Arc<ServerConfig>>>);

impl Certificate {
    pub fn new(identity: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(identity)))
    }

    /// The certificate as it is now.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves connections from now on with another one; open connections keep theirs.
    pub fn replace(&self, identity: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }
}
