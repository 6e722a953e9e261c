//! The playground: `GraphiQL` 4 in a page, from the pinned public files or from a local copy of them.

use std::{
    fmt::Write,
    path::{Path as FilePath, PathBuf},
};

use axum::{
    Router,
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;

const CDN: &str = "https://unpkg.com/";
/// Where `npm install` puts the local copy.
const LOCAL: &str = "playground/node_modules";
const BOOT: &str = include_str!("playground/boot.js");
/// What a visitor of Coffer finds, a tab each.
pub const SAMPLES: [&str; 4] = [
    include_str!("playground/customers.graphql"),
    include_str!("playground/buy.graphql"),
    include_str!("playground/watch.graphql"),
    include_str!("playground/people.graphql"),
];
const STYLE: &str = "html, body, #graphiql { height: 100%; margin: 0; overflow: hidden; }\n";

/// A file of a pinned package; nothing else is ever served.
struct Asset {
    package: &'static str,
    version: &'static str,
    file: &'static str,
    kind: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const SHEET: &str = "text/css; charset=utf-8";

/// In the order in which the page needs them.
const ASSETS: [Asset; 6] = [
    Asset { package: "react", version: "18.3.1", file: "umd/react.production.min.js", kind: SCRIPT },
    Asset { package: "react-dom", version: "18.3.1", file: "umd/react-dom.production.min.js", kind: SCRIPT },
    Asset { package: "graphiql", version: "4.1.2", file: "graphiql.min.css", kind: SHEET },
    Asset { package: "graphiql", version: "4.1.2", file: "graphiql.min.js", kind: SCRIPT },
    Asset { package: "@graphiql/plugin-explorer", version: "4.0.6", file: "dist/style.css", kind: SHEET },
    Asset { package: "@graphiql/plugin-explorer", version: "4.0.6", file: "dist/index.umd.js", kind: SCRIPT },
];

impl Asset {
    fn path(&self) -> String {
        format!("{}/{}", self.package, self.file)
    }

    fn tag(&self, local: bool) -> String {
        let source =
            if local { format!("/assets/{}", self.path()) } else { format!("{CDN}{}@{}/{}", self.package, self.version, self.file) };
        match self.kind {
            SHEET => format!("<link rel=\"stylesheet\" crossorigin=\"anonymous\" href=\"{source}\">"),
            _ => format!("<script crossorigin=\"anonymous\" src=\"{source}\"></script>"),
        }
    }
}

/// What the page is about.
#[derive(Clone, Debug)]
pub struct Playground {
    pub title: String,
    /// Path of the HTTP door.
    pub endpoint: String,
    /// Path of the socket.
    pub subscriptions: String,
    /// The queries a visitor finds, a tab each; the first is in front.
    pub queries: Vec<String>,
    /// A sandbox key, preset for both doors. Never a live one: the page is public.
    pub key: Option<String>,
}

impl Playground {
    /// Serves the page, and its files if they are installed under the working directory.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        self.routes_from(FilePath::new(LOCAL))
    }

    fn routes_from<S: Clone + Send + Sync + 'static>(&self, modules: &FilePath) -> Router<S> {
        let local = ASSETS.iter().all(|asset| modules.join(asset.path()).is_file());
        let page = self.page(local);
        let modules = modules.to_owned();
        Router::new()
            .route("/playground", get(move || async move { shown(page) }))
            .route("/assets/{*path}", get(move |path| asset(modules, path)))
    }

    fn page(&self, local: bool) -> String {
        let settings = json!({
            "endpoint": self.endpoint,
            "subscriptions": self.subscriptions,
            "queries": self.queries,
            "key": self.key,
        });
        let of = |kind: &str| {
            let tags = ASSETS.iter().filter(|asset| asset.kind == kind).map(|asset| asset.tag(local));
            tags.collect::<Vec<_>>().join("\n")
        };
        let waiting =
            if local { "Loading…" } else { "Loading from unpkg.com… Without the internet, run npm ci in the folder playground first." };
        format!(
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="icon" href="data:,">
{sheets}
<link rel="stylesheet" href="/assets/playground.css">
</head>
<body>
<div id="graphiql">{waiting}</div>
<script type="application/json" id="settings">{settings}</script>
{scripts}
<script src="/assets/playground.js"></script>
</body>
</html>
"#,
            title = escape_html(&self.title),
            sheets = of(SHEET),
            settings = escape_json(&settings.to_string()),
            scripts = of(SCRIPT),
        )
    }
}

fn shown(page: String) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self' https://unpkg.com; \
        style-src 'self' 'unsafe-inline' https://unpkg.com; img-src 'self' data:; font-src 'self' data: https://unpkg.com; \
        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page)).into_response()
}

/// Only the files listed above exist, so no path leads anywhere else.
async fn asset(modules: PathBuf, Path(path): Path<String>) -> Response {
    let (kind, content) = match path.as_str() {
        "playground.js" => (SCRIPT, BOOT.as_bytes().to_vec()),
        "playground.css" => (SHEET, STYLE.as_bytes().to_vec()),
        _ => {
            let Some(asset) = ASSETS.iter().find(|asset| asset.path() == path) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            let file = modules.join(asset.path());
            match tokio::task::spawn_blocking(move || std::fs::read(file)).await {
                Ok(Ok(content)) => (asset.kind, content),
                _ => return StatusCode::NOT_FOUND.into_response(),
            }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, content).into_response()
}

/// Text that may stand in a page.
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

/// JSON that may stand inside a script element.
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
