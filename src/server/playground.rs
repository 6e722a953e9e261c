//! Playground: a page with `GraphiQL` 4. Its pinned files are served from a local copy if installed,
//! otherwise they are loaded from unpkg.com.

use std::{fmt::Write, path::Path as FilePath, sync::Arc};

use axum::{
    Router,
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;

const CDN: &str = "https://unpkg.com/";
/// Path under which the server serves its local copies.
const ASSETS_PATH: &str = "/assets/";
/// Folder where `npm ci --prefix playground` installs the local copy.
const LOCAL: &str = "playground/node_modules";
const BOOT: &str = include_str!("playground/boot.js");
/// Sample operations, one tab each.
pub const SAMPLES: [&str; 4] = [
    include_str!("playground/customers.graphql"),
    include_str!("playground/buy.graphql"),
    include_str!("playground/watch.graphql"),
    include_str!("playground/people.graphql"),
];
const STYLE: &str = include_str!("playground/style.css");
/// Shown while the files of `GraphiQL` are loading.
const LOADING_INSTALLED: &str = "Loading GraphiQL…";
/// As above, for the files on unpkg.com.
const LOADING_REMOTE: &str = "Loading GraphiQL from unpkg.com… Without internet access, run <code>npm ci \
    --prefix playground</code> on the server and reload this page.";
/// Shown by the script in place of `GraphiQL` when its files cannot be loaded.
const UNAVAILABLE: &str = include_str!("playground/unavailable.html");

/// File of a pinned package. Other files are never served.
struct Asset {
    package: &'static str,
    version: &'static str,
    file: &'static str,
    kind: &'static str,
    /// Subresource integrity hash. A browser refuses any other content.
    integrity: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const SHEET: &str = "text/css; charset=utf-8";

/// Files in the order in which the page loads them.
const ASSETS: [Asset; 6] = [
    Asset {
        package: "react",
        version: "18.3.1",
        file: "umd/react.production.min.js",
        kind: SCRIPT,
        integrity: "sha384-DGyLxAyjq0f9SPpVevD6IgztCFlnMF6oW/XQGmfe+IsZ8TqEiDrcHkMLKI6fiB/Z",
    },
    Asset {
        package: "react-dom",
        version: "18.3.1",
        file: "umd/react-dom.production.min.js",
        kind: SCRIPT,
        integrity: "sha384-gTGxhz21lVGYNMcdJOyq01Edg0jhn/c22nsx0kyqP0TxaV5WVdsSH1fSDUf5YJj1",
    },
    Asset {
        package: "graphiql",
        version: "4.1.2",
        file: "graphiql.min.css",
        kind: SHEET,
        integrity: "sha384-1el1QShFBnnXTx9x/Cprg82hZWKt0ry29OAYIXt05swbi0KcZDFoj0CWguMpopJr",
    },
    Asset {
        package: "graphiql",
        version: "4.1.2",
        file: "graphiql.min.js",
        kind: SCRIPT,
        integrity: "sha384-9XdHu7ajgGJziD4J1zNBKQ842Q/+zZfDv+ib1eMhZWBH6hPAs806x+Jbcf0yNO6B",
    },
    Asset {
        package: "@graphiql/plugin-explorer",
        version: "4.0.6",
        file: "dist/style.css",
        kind: SHEET,
        integrity: "sha384-XffIsImDMwexX8UM/Bg3tss0MZOeQmZcnHzk0avUrw9ff0IQ2g9j7QLA6m2lz5D0",
    },
    Asset {
        package: "@graphiql/plugin-explorer",
        version: "4.0.6",
        file: "dist/index.umd.js",
        kind: SCRIPT,
        integrity: "sha384-gXYG2RCFRuAiKUaKTbKxOVlvr0U9z0D/V/l5jdvRSH46vQ+9cpkG2d3ByiggUYvD",
    },
];

impl Asset {
    /// Path below `node_modules`.
    fn installed(&self) -> String {
        format!("{}/{}", self.package, self.file)
    }

    /// Path on the CDN and below `/assets/`. It contains the version, so that a cache cannot serve a file
    /// with another hash.
    fn path(&self) -> String {
        format!("{}@{}/{}", self.package, self.version, self.file)
    }

    fn tag(&self, origin: &str) -> String {
        let (source, integrity) = (format!("{origin}{}", self.path()), self.integrity);
        match self.kind {
            SHEET => format!(
                "<link rel=\"stylesheet\" crossorigin=\"anonymous\" integrity=\"{integrity}\" href=\"{source}\">"
            ),
            _ => format!(
                "<script crossorigin=\"anonymous\" integrity=\"{integrity}\" src=\"{source}\"></script>"
            ),
        }
    }
}

/// Settings of the page.
#[derive(Clone, Debug)]
pub struct Playground {
    pub title: String,
    /// Path of the GraphQL API.
    pub endpoint: String,
    /// Path of the WebSocket.
    pub subscriptions: String,
    /// Sample operations, one tab each; the first tab is active.
    pub queries: Vec<String>,
    /// Sandbox API key that is preset under Headers. Never a live key: the page is public.
    pub key: Option<String>,
}

/// Both versions of the page.
struct Pages {
    /// Loads the files installed on the server.
    installed: String,
    /// Loads the files from unpkg.com.
    remote: String,
}

impl Playground {
    /// Returns the routes of the page and its files, which are looked up under the working directory.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        self.routes_from(FilePath::new(LOCAL))
    }

    fn routes_from<S: Clone + Send + Sync + 'static>(&self, modules: &FilePath) -> Router<S> {
        let pages = Arc::new(Pages {
            installed: self.page(ASSETS_PATH, LOADING_INSTALLED),
            remote: self.page(CDN, LOADING_REMOTE),
        });
        let modules: Arc<FilePath> = modules.into();
        let asset_modules = modules.clone();
        Router::new()
            .route("/playground", get(move || page(pages, modules)))
            .route("/assets/{*path}", get(move |path| asset(asset_modules, path)))
    }

    /// Returns the page. Style sheets and scripts come last so that the rest is visible while they load.
    fn page(&self, origin: &str, loading: &str) -> String {
        let settings = json!({
            "endpoint": self.endpoint,
            "subscriptions": self.subscriptions,
            "queries": self.queries,
            "key": self.key,
        });
        let tags: Vec<String> = ASSETS.iter().map(|asset| asset.tag(origin)).collect();
        format!(
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} playground</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/playground.css">
</head>
<body>
<header><b>{title}</b> <nav><a href="/docs">REST documentation</a> <a href="/openapi.json">OpenAPI</a></nav></header>
<div id="graphiql"><p>{loading}</p></div>
{UNAVAILABLE}<noscript><p>The playground needs JavaScript. <a href="/docs#examples">The documentation</a>
shows requests with curl.</p></noscript>
<script type="application/json" id="settings">{settings}</script>
{tags}
<script src="/assets/playground.js"></script>
</body>
</html>
"#,
            title = escape_html(&self.title),
            settings = escape_json(&settings.to_string()),
            tags = tags.join("\n"),
        )
    }
}

/// Checks for the files on each request, so that the server need not be restarted after they are installed.
async fn page(pages: Arc<Pages>, modules: Arc<FilePath>) -> Response {
    let are_installed = move || ASSETS.iter().all(|asset| modules.join(asset.installed()).is_file());
    let installed = tokio::task::spawn_blocking(are_installed).await.unwrap_or(false);
    respond(if installed { pages.installed.clone() } else { pages.remote.clone() })
}

fn respond(page: String) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self' https://unpkg.com; \
        style-src 'self' 'unsafe-inline' https://unpkg.com; img-src 'self' data:; font-src 'self' data: \
        https://unpkg.com; \
        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page)).into_response()
}

/// Serves a file. Only the files listed above are served, whatever the path.
async fn asset(modules: Arc<FilePath>, Path(path): Path<String>) -> Response {
    // The server's own files change between versions under the same path, so they must not be cached.
    let (kind, cache, content) = match path.as_str() {
        "playground.js" => (SCRIPT, "no-cache", BOOT.as_bytes().to_vec()),
        "playground.css" => (SHEET, "no-cache", STYLE.as_bytes().to_vec()),
        _ => {
            let Some(asset) = ASSETS.iter().find(|asset| asset.path() == path) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            let file = modules.join(asset.installed());
            match tokio::task::spawn_blocking(move || std::fs::read(file)).await {
                Ok(Ok(content)) => (asset.kind, "public, max-age=3600", content),
                _ => return StatusCode::NOT_FOUND.into_response(),
            }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, content).into_response()
}

/// Escapes text for use in HTML.
pub(super) fn escape_html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

/// Escapes JSON for use inside a script element.
fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(safe, "\\u{:04x}", u32::from(letter));
            }
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
