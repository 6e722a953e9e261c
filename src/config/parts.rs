//! Builds the providers, the server's limits and the HTTP settings from the settings.

use super::{CliError, Config, IdentityChecks, Transport};
use crate::{
    graphql::Limits,
    server::{
        BodyLimits, HttpSettings, NetworkSettings, connections::ConnectionLimits, serving::ServerSettings,
    },
};
use domain::{
    app::Setup,
    providers::{Providers, files::Files, identity::BuiltIn, mail::Smtp, sms::Gateway},
    settings::Settings,
};
use std::{sync::Arc, time::Duration};

impl Config {
    /// Returns the providers and settings of the app.
    pub fn setup(&self) -> Result<Setup, CliError> {
        Ok(Setup {
            settings: Settings {
                default_partner: self.default_partner.clone(),
                advisors: self.advisors_email.clone(),
            },
            requests_per_hour: self.requests_per_hour,
            throttle: self.throttle,
            providers: self.providers()?,
            ..Setup::default()
        })
    }

    fn providers(&self) -> Result<Providers, CliError> {
        let mut providers =
            Providers { documents: Files::in_folder(self.documents()), ..Providers::default() };
        if self.identity == IdentityChecks::BuiltIn {
            providers.live_identity = Some(Arc::new(BuiltIn));
        }
        if let Some(smtp) = self.smtp()? {
            providers.live_mail = Some(Arc::new(smtp));
        }
        match (&self.sms_url, &self.sms_template) {
            (Some(url), Some(template)) => {
                let gateway =
                    Gateway::new(url, template, &self.sms_content_type, self.sms_authorization.as_deref())?;
                providers.live_sms = Some(Arc::new(gateway));
            }
            (Some(_), None) => return Err("COFFER_SMS_TEMPLATE: must be set with COFFER_SMS_URL".to_owned()),
            (None, _) => {}
        }
        Ok(providers)
    }

    /// Returns how connections are served, at most `available` at once.
    pub fn server(&self, available: usize) -> ServerSettings {
        let number = |setting: u32| usize::try_from(setting).unwrap_or(usize::MAX);
        let total = number(self.connections).min(available);
        // One address may use at most half of all connections.
        let per_address = number(self.connections_per_address).min(total.div_ceil(2));
        ServerSettings {
            connections: ConnectionLimits { total, per_address, exempt: self.trusted_proxy.clone() },
            header_timeout: seconds(self.header_seconds),
            idle_timeout: seconds(self.idle_seconds),
            write_timeout: seconds(self.write_seconds),
        }
    }

    /// Returns the mail server of live partners, if one is configured.
    pub fn smtp(&self) -> Result<Option<Smtp>, CliError> {
        match (&self.smtp_url, &self.mail_from) {
            (Some(url), Some(from)) => Ok(Some(Smtp::new(url, from)?)),
            (Some(_), None) => Err("COFFER_MAIL_FROM: must be set with COFFER_SMTP_URL".to_owned()),
            (None, _) => Ok(None),
        }
    }

    /// Returns the settings of the HTTP layers.
    pub fn settings(&self, transport: &Transport, sandbox_key: Option<String>) -> HttpSettings {
        let limits = Limits {
            body_bytes: self.body_bytes,
            document_bytes: self.document_bytes,
            tokens: self.tokens,
            depth: self.depth,
            complexity: self.complexity,
            aliases: self.aliases,
            query_timeout: Duration::from_secs(self.query_seconds),
            response_bytes: self.response_bytes,
            ..Limits::default()
        };
        HttpSettings {
            limits,
            body: BodyLimits { timeout: seconds(self.body_seconds), bytes_per_second: self.body_rate },
            page_most: self.page_most,
            breadth_first: true,
            introspection: self.introspection.unwrap_or(!self.is_production()),
            playground: !self.is_production(),
            origins: self.origins.clone(),
            network: NetworkSettings {
                tls: matches!(transport, Transport::Tls(_)),
                secure_only: self.is_production(),
                trusted: self.trusted_proxy.clone(),
                public_url: self.public_url.clone(),
                listening: None,
            },
            sandbox_key,
        }
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
