//! TLS of the server: certificate and private key from two files, which can be reloaded while the server
//! runs.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Reads a certificate chain and its private key. Errors are one line that names the setting.
pub fn identity(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| format!("COFFER_TLS_CERT: {}: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("COFFER_TLS_CERT: {}: contains no certificate", certificate.display()));
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

/// Certificate for new connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<RwLock<Arc<ServerConfig>>>);

impl Certificate {
    pub fn new(identity: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(identity)))
    }

    /// Returns the current certificate.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the certificate for new connections. Open connections keep the old one.
    pub fn replace(&self, identity: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }
}
