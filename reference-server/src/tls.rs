//! Certificates and the TLS acceptor.
//!
//! Must never know WebSocket.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use crate::server::ServerError;

/// An acceptor for what the configuration names.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ServerError> {
    let (chain, key) = match tls {
        Tls::SelfSigned => self_signed()?,
        Tls::Files { cert, key } => {
            let broken = |path: &std::path::Path, why: String| ServerError::Certificate { path: path.to_owned(), why };
            let chain = CertificateDer::pem_file_iter(cert)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|why| broken(cert, why.to_string()))?;
            if chain.is_empty() {
                return Err(broken(cert, "no certificate in it".into()));
            }
            (chain, PrivateKeyDer::from_pem_file(key).map_err(|why| broken(key, why.to_string()))?)
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|why| ServerError::Tls(why.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A throw-away certificate for the names a local client would use.
fn self_signed() -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ServerError> {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).map_err(|why| ServerError::Tls(why.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}
