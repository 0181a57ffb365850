//! OpenID providers of organizations, declared in the configuration file.
//!
//! `[organizations.acme.openid]` with `issuer`, `jwks_url`, `audience` and perhaps `user_claim`. Not in the table of
//! settings: names here are the operator's own.

use rules::{Error, OrgId, Result};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{Config, check_name};

/// Whose tokens are taken for an organization's users, besides our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenId {
    /// The claim `iss` of its tokens, byte for byte; of one organization only.
    pub issuer: String,
    /// Where its keys are, a JSON Web Key Set (RFC 7517); `https`, or `http` on this machine.
    pub jwks_url: String,
    /// What the claim `aud` of a token must name: the client id given to this server.
    pub audience: String,
    /// The claim that names the user: `email` by the address, any other by the user id.
    #[serde(default = "subject")]
    pub user_claim: String,
}

fn subject() -> String {
    "sub".to_owned()
}

impl Config {
    /// The organizations that have a provider, with it.
    pub fn openid_providers(&self) -> impl Iterator<Item = (&OrgId, &OpenId)> {
        let organizations = self.organizations.iter();
        organizations.filter_map(|(org, organization)| Some((org, organization.openid.as_ref()?)))
    }
}

/// Refuses what can be no provider, and an issuer that would leave open whose user a token names.
///
/// # Errors
/// `Invalid`, naming the setting.
pub(super) fn check(config: &Config) -> Result<()> {
    let mut issuers = vec![("identity", config.identity.issuer.as_str())];
    for (org, provider) in config.openid_providers() {
        let setting = |name: &str| format!("organizations.{org}.openid.{name}");
        check_name(&setting("issuer"), &provider.issuer)?;
        check_name(&setting("audience"), &provider.audience)?;
        check_name(&setting("user_claim"), &provider.user_claim)?;
        if !is_safe(&provider.jwks_url) {
            return Err(Error::invalid(format!(
                "{} is {:?}; it must be an https address, or an http one of this machine",
                setting("jwks_url"),
                provider.jwks_url
            )));
        }
        let of_another = issuers
            .iter()
            .find(|(_, issuer)| *issuer == provider.issuer);
        if let Some((other, _)) = of_another {
            return Err(Error::invalid(format!(
                "{} is the issuer of {other} too; each needs its own, for it says whose user a token names",
                setting("issuer")
            )));
        }
        issuers.push((org.as_str(), &provider.issuer));
    }
    Ok(())
}

/// Whether it is an address, and what is read there cannot have been changed on the way.
fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_here
}
