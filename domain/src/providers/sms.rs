//! Sending of text messages.

use super::{SendError, https, is_loopback_host};
use futures_util::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};

/// A text message.
#[derive(Clone, Copy)]
pub struct TextMessage<'a> {
    /// Id of the message; the same for every attempt, so that the gateway can recognize duplicates.
    pub id: &'a str,
    /// In E.164 form, for example `+12025550107`.
    pub to: &'a str,
    pub text: &'a str,
}

/// Sends text messages.
pub trait SmsProvider: Send + Sync {
    /// Sends `message`; on success, the gateway has accepted responsibility for it.
    fn send<'a>(&'a self, message: TextMessage<'a>) -> BoxFuture<'a, Result<(), SendError>>;
}

/// A gateway that accepts text messages by HTTP POST.
pub struct Gateway {
    client: Client,
    url: Url,
    template: Template,
}

impl Gateway {
    /// Creates a client of the gateway at `url`, which must use HTTPS unless it runs on this machine. Each
    /// request body is `template` with `{to}` and `{text}` replaced, escaped as `content_type` requires.
    pub fn new(
        url: &str,
        template: &str,
        content_type: &str,
        authorization: Option<&str>,
    ) -> Result<Self, &'static str> {
        const SHAPE: &str = "COFFER_SMS_URL: must be https://…";
        let url = Url::parse(url).map_err(|_| SHAPE)?;
        let host = url.host_str().ok_or(SHAPE)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback_host(host)) {
            return Err(SHAPE);
        }
        let template = Template::new(template, content_type)?;
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|_| "COFFER_SMS_CONTENT_TYPE: must be a content type")?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization)
                .map_err(|_| "COFFER_SMS_AUTHORIZATION: must be a valid header value")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = https()
            .default_headers(headers)
            .build()
            .map_err(|_| "COFFER_SMS_URL: this machine has no trusted root certificates")?;
        Ok(Self { client, url, template })
    }
}

impl SmsProvider for Gateway {
    fn send<'a>(&'a self, message: TextMessage<'a>) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let body = self.template.filled(message.to, message.text);
            let request = self.client.post(self.url.clone()).header("idempotency-key", message.id).body(body);
            match request.send().await {
                Ok(response) if response.status().is_success() => Ok(()),
                Ok(response) => {
                    let text = format!("the SMS gateway replied {}", response.status().as_u16());
                    // Other errors concern the credentials, the rate or the URL and may be temporary.
                    if [400, 422].contains(&response.status().as_u16()) {
                        Err(SendError::Refused(text))
                    } else {
                        Err(SendError::Failed(text))
                    }
                }
                Err(error) if error.is_timeout() => {
                    Err(SendError::Failed("the SMS gateway did not reply in time".to_owned()))
                }
                Err(_) => Err(SendError::Failed("the SMS gateway cannot be reached".to_owned())),
            }
        })
    }
}

/// How values are escaped in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Json,
    Form,
    Plain,
}

/// A request body with placeholders for the number and the text.
struct Template {
    pieces: Vec<Piece>,
    style: Style,
}

enum Piece {
    Fixed(String),
    To,
    Text,
}

impl Template {
    fn new(template: &str, content_type: &str) -> Result<Self, &'static str> {
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let style = match media.as_str() {
            "application/json" => Style::Json,
            media if media.ends_with("+json") => Style::Json,
            "application/x-www-form-urlencoded" => Style::Form,
            _ => Style::Plain,
        };
        let mut pieces = Vec::new();
        for (index, part) in template.split("{to}").enumerate() {
            if index > 0 {
                pieces.push(Piece::To);
            }
            for (index, fixed) in part.split("{text}").enumerate() {
                if index > 0 {
                    pieces.push(Piece::Text);
                }
                pieces.push(Piece::Fixed(fixed.to_owned()));
            }
        }
        let has = |wanted: fn(&Piece) -> bool| pieces.iter().any(wanted);
        if !has(|piece| matches!(piece, Piece::To)) || !has(|piece| matches!(piece, Piece::Text)) {
            return Err("COFFER_SMS_TEMPLATE: must contain {to} and {text}");
        }
        let template = Self { pieces, style };
        if style == Style::Json
            && serde_json::from_str::<serde_json::Value>(&template.filled("+12025550107", "\"\\\n")).is_err()
        {
            return Err("COFFER_SMS_TEMPLATE: must be JSON with {to} and {text} inside strings");
        }
        Ok(template)
    }

    /// Returns the body of one message. Placeholders in inserted values are not replaced.
    fn filled(&self, to: &str, text: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Fixed(fixed) => fixed.clone(),
            Piece::To => self.style.write(to),
            Piece::Text => self.style.write(text),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// Everything but what RFC 3986 calls unreserved.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Style {
    fn write(self, value: &str) -> String {
        match self {
            Self::Plain => value.to_owned(),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted
                    .strip_prefix('"')
                    .and_then(|quoted| quoted.strip_suffix('"'))
                    .unwrap_or(&quoted)
                    .to_owned()
            }
            Self::Form => utf8_percent_encode(value, FORM).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_the_content_type_requires() {
        let (to, text) = ("+12025550107", "Say \"{to}\" & é\n100%");
        for (content_type, template, body) in [
            (
                "application/json",
                r#"{"a":"{to}","b":["{text}"]}"#,
                r#"{"a":"+12025550107","b":["Say \"{to}\" & é\n100%"]}"#,
            ),
            (
                "application/vnd.x+json; charset=utf-8",
                r#"["{to}{text}"]"#,
                r#"["+12025550107Say \"{to}\" & é\n100%"]"#,
            ),
            (
                "application/x-www-form-urlencoded",
                "To={to}&Body={text}",
                "To=%2B12025550107&Body=Say%20%22%7Bto%7D%22%20%26%20%C3%A9%0A100%25",
            ),
            ("text/plain", "{text}|{to}|{to}", "Say \"{to}\" & é\n100%|+12025550107|+12025550107"),
        ] {
            assert_eq!(
                Template::new(template, content_type).unwrap().filled(to, text),
                body,
                "{content_type}"
            );
        }
    }

    #[test]
    fn an_invalid_template_is_refused() {
        for (content_type, template) in [
            ("application/json", r#"{"to":"{to}"}"#),
            ("application/json", r#"{"text":"{text}"}"#),
            ("application/json", r#"{"to":{to},"text":{text}}"#),
            ("application/json", r#"{"to":"{to}","text":"{text}""#),
            ("text/plain", "{to}"),
        ] {
            assert!(Template::new(template, content_type).is_err(), "{template}");
        }
    }
}
