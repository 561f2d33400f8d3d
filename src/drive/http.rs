//! HTTP for scripts (a login, a token) and for publications that go over HTTP. hyper with a connection pool per shard; a
//! request has a limit in time, its answer one in size.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

use crate::scenario::model::Request;

/// The longest answer that is read.
const LIMIT: usize = 1 << 20;

/// A client with its pool. Cheap to clone.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Status and body of an answer.
pub(super) type Answer = (u16, Vec<u8>);

impl Http {
    pub(super) fn new(tls: &Arc<ClientConfig>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(tls)).https_or_http().enable_http1().wrap_connector(tcp);
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Makes a request and reads the whole answer.
    ///
    /// # Errors
    /// In words: no answer in time, none at all, or one beyond the limit.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer, String> {
        match tokio::time::timeout(request.within.to_std(), self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {}", request.within)),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, String> {
        let mut builder = http::Request::builder().method(request.method.as_str()).uri(request.url.as_str());
        for (name, value) in &request.headers {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let message = builder.body(Full::new(Bytes::from(request.body.clone()))).map_err(|e| e.to_string())?;
        let response = self.client.request(message).await.map_err(|e| deepest(&e))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LIMIT).collect().await.map_err(|e| deepest(e.as_ref()))?;
        Ok((status, body.to_bytes().to_vec()))
    }
}

/// The innermost reason: "Connection refused", not "client error (Connect)".
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
