//! Calls `/admin` of the node that runs on a data folder.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, Url};
use serde_json::Value;
use suda_schema::WireError;

use crate::node::data;

/// Longer than the node's own limit for a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Client {
    http: reqwest::Client,
    node: Url,
    token: String,
}

impl Client {
    /// The node of this data folder.
    pub(super) fn of(folder: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| match fs::read_to_string(path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("no node runs on the data folder {}: start it, or name another with --data", folder.display())
            }
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        };
        let node = read(&data::admin_address_path(folder))?;
        let node = Url::parse(&node).with_context(|| format!("{node} is no address of a node"))?;
        let token = read(&data::admin_token_path(folder))?;
        // The client wants a provider, though nothing here is encrypted. Whoever comes first sets it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // A proxy would say that it is one, and be turned away.
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build().context("no HTTP client")?;
        Ok(Self { http, node, token })
    }

    /// The answer to one request. What a GET wants goes into its query, anything else into its body.
    pub(super) async fn call(&self, method: Method, path: &[String], body: &Value) -> anyhow::Result<Value> {
        let mut url = self.node.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().push("admin").extend(path)),
            Err(()) => bail!("{} is no address of a node", self.node),
        }
        let request = self.http.request(method.clone(), url).bearer_auth(&self.token);
        let request = if method == Method::GET { request.query(&body) } else { request.json(body) };
        let answer = request.send().await.map_err(|error| {
            let hint = if error.is_connect() { "; it has ended, it seems" } else { "" };
            anyhow::Error::new(error).context(format!("the node at {} does not answer{hint}", self.node))
        })?;
        let (status, text) = (answer.status(), answer.text().await.context("half an answer")?);
        if !status.is_success() {
            match serde_json::from_str::<WireError>(&text) {
                Ok(error) => bail!("{}", error.message),
                Err(_) => bail!("the node answered {status}"),
            }
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).context("the node's answer is no JSON")
    }
}
