//! Client assertions (RFC 7523 §2.2): a JWT signed with a registered certificate, or issued by a registered issuer (§9.3).

use super::TenantRef;
use super::error::EntraError;
use super::jwt::Jwt;
use super::setup::Registration;
use crate::world::World;

/// The only type of assertion there is.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What two clocks may differ by, in seconds.
const SKEW_SECONDS: u64 = 300;
/// AADSTS: the assertion cannot be read.
const MALFORMED: u32 = 50_027;
/// AADSTS: the assertion names another application.
const OTHER_CLIENT: u32 = 700_021;
/// AADSTS: the assertion is for somebody else.
const OTHER_AUDIENCE: u32 = 700_023;
/// AADSTS: too early or too late.
const OUT_OF_TIME: u32 = 700_024;
/// AADSTS: no registered key made the signature.
const BAD_SIGNATURE: u32 = 700_027;
/// AADSTS: no federated credential names the issuer.
const FEDERATED_ISSUER: u32 = 700_211;
/// AADSTS: no federated credential of the issuer is for the audience.
const FEDERATED_AUDIENCE: u32 = 700_212;
/// AADSTS: no federated credential of the issuer names the subject.
const FEDERATED_SUBJECT: u32 = 700_213;

/// Checks that an assertion proves an application.
pub(super) fn check(
    world: &World,
    tenant: &TenantRef,
    registration: &Registration,
    assertion: &str,
) -> Result<(), EntraError> {
    let jwt = Jwt::parse(assertion).ok_or_else(|| EntraError::of(MALFORMED))?;
    let issuer = jwt.text("iss").ok_or_else(|| EntraError::of(MALFORMED))?;
    let foreign = world.entra.issuers.iter().any(|known| known.issuer == issuer);
    if foreign || registration.certificates.is_empty() {
        check_federated(world, registration, &jwt, issuer)?;
    } else {
        check_certificate(world, tenant, registration, &jwt, issuer)?;
    }
    check_time(world, &jwt)?;
    check_replay(world, &jwt, issuer)
}

fn check_certificate(
    world: &World,
    tenant: &TenantRef,
    registration: &Registration,
    jwt: &Jwt<'_>,
    issuer: &str,
) -> Result<(), EntraError> {
    let client_id = registration.app.client_id.as_str();
    if issuer != client_id || jwt.text("sub") != Some(client_id) {
        return Err(EntraError::of(OTHER_CLIENT));
    }
    if !jwt.is_for(|audience| is_ours(world, tenant, audience)) {
        return Err(EntraError::of(OTHER_AUDIENCE));
    }
    let (x5t, x5t_s256) = (jwt.header("x5t"), jwt.header("x5t#S256"));
    let mut named =
        registration.certificates.iter().filter(|certificate| certificate.is_named(x5t, x5t_s256)).peekable();
    if named.peek().is_none() {
        let text = "The certificate with identifier used to sign the client assertion is not registered on application. \
                    Reason - The key was not found.";
        return Err(EntraError::of(BAD_SIGNATURE).saying(text));
    }
    let algorithm = jwt.header("alg").unwrap_or_default();
    if named.any(|certificate| certificate.made(algorithm, jwt.signed.as_bytes(), &jwt.signature)) {
        Ok(())
    } else {
        Err(EntraError::of(BAD_SIGNATURE))
    }
}

/// Whether an audience is the token endpoint or the issuer of this tenant.
fn is_ours(world: &World, tenant: &TenantRef, audience: &str) -> bool {
    let rest = audience.strip_prefix(world.bases.authority.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.and_then(|rest| rest.split_once('/')).is_some_and(|(segment, rest)| {
        let here = TenantRef::parse(world, segment).is_ok_and(|named| named == *tenant);
        here && matches!(rest, "oauth2/v2.0/token" | "v2.0")
    })
}

fn check_federated(
    world: &World,
    registration: &Registration,
    jwt: &Jwt<'_>,
    issuer: &str,
) -> Result<(), EntraError> {
    let of_issuer = || registration.app.federated.iter().filter(|known| known.issuer == issuer);
    let trusted = world.entra.issuers.iter().find(|known| known.issuer == issuer);
    let Some(trusted) = trusted.filter(|_| of_issuer().next().is_some()) else {
        return Err(EntraError::of(FEDERATED_ISSUER));
    };
    let subject = jwt.text("sub").unwrap_or_default();
    if !of_issuer().any(|known| known.subject == subject) {
        return Err(EntraError::of(FEDERATED_SUBJECT));
    }
    let fits = of_issuer()
        .filter(|known| known.subject == subject)
        .any(|known| jwt.is_for(|audience| audience == known.audience));
    if !fits {
        return Err(EntraError::of(FEDERATED_AUDIENCE));
    }
    let signed = jwt.header("alg") == Some("RS256")
        && trusted.made(jwt.header("kid"), jwt.signed.as_bytes(), &jwt.signature);
    if signed { Ok(()) } else { Err(EntraError::of(BAD_SIGNATURE)) }
}

fn check_time(world: &World, jwt: &Jwt<'_>) -> Result<(), EntraError> {
    let now = world.clock.now_seconds();
    let ends = jwt.moment("exp").ok_or_else(|| EntraError::of(OUT_OF_TIME))?;
    let begins = jwt.moment("nbf").unwrap_or_default();
    if ends.saturating_add(SKEW_SECONDS) <= now || begins > now.saturating_add(SKEW_SECONDS) {
        return Err(EntraError::of(OUT_OF_TIME));
    }
    Ok(())
}

fn check_replay(world: &World, jwt: &Jwt<'_>, issuer: &str) -> Result<(), EntraError> {
    let Some(id) = jwt.text("jti").filter(|_| world.switches().tokens.refuse_assertion_replay) else {
        return Ok(());
    };
    if world.entra.ledger().first_use(&format!("{issuer} {id}")) {
        Ok(())
    } else {
        Err(EntraError::of(BAD_SIGNATURE).saying("The client assertion was used before."))
    }
}
