//! TLS of the listeners, and answers written with the addresses that clients use.

use reqwest::Certificate;
use simulator::{
    Config, Endpoint, FIRST_USER, Fault, FaultKind, PUBLIC_CLIENT_ID, Public, ResetMoment, Simulator,
    StartError, TLS_NAMES, TlsError, TlsIdentity,
};

use crate::bench::{plain, read};

/// Two listeners under the names of the real ones, and a client that trusts nothing but their authority.
async fn under_real_names() -> (Simulator, reqwest::Client) {
    let names: Vec<String> = TLS_NAMES.iter().map(|name| (*name).to_owned()).collect();
    let identity = TlsIdentity::make(&names).unwrap();
    let trusted = Certificate::from_pem(identity.authority_pem().unwrap().as_bytes()).unwrap();
    let base = |host: &str| Some(format!("https://{host}"));
    let public = Public {
        authority: base("login.microsoftonline.com"),
        graph: base("graph.microsoft.com"),
        content: base("contoso-my.sharepoint.com"),
    };
    let config = Config { public, tls: Some(identity), ..Config::default() };
    let simulator = Simulator::start_strict(config).await.unwrap();
    let listening = simulator.listening();
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .resolve("login.microsoftonline.com", listening.authority)
        .resolve("graph.microsoft.com", listening.graph)
        .resolve("contoso-my.sharepoint.com", listening.graph)
        .no_proxy()
        .build()
        .unwrap();
    (simulator, client)
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_signs_in_reads_and_downloads_under_the_real_names() {
    let (simulator, client) = under_real_names().await;
    let drive = simulator.create_drive(&plain(3, 0)).unwrap();
    let refresh =
        simulator.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER).unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", PUBLIC_CLIENT_ID),
        ("refresh_token", refresh.as_str()),
    ];
    let token = client.post("https://login.microsoftonline.com/common/oauth2/v2.0/token").form(&form);
    let token = read(token.send().await.unwrap()).await;
    let get = |address: &str| client.get(address).bearer_auth(token.text("/access_token")).send();
    let page = read(get("https://graph.microsoft.com/v1.0/me/drive/root/delta?$top=2").await.unwrap()).await;
    assert!(page.text("/@odata.nextLink").starts_with("https://graph.microsoft.com/v1.0/"), "{}", page.body);

    let file = drive.walk().into_iter().find(|entry| entry.size > 0).unwrap();
    let item = format!("https://graph.microsoft.com/v1.0/drives/{}/items/{}", drive.id(), file.id);
    let item = read(get(&item).await.unwrap()).await;
    let link = item.text("/@microsoft.graph.downloadUrl");
    assert!(link.starts_with("https://contoso-my.sharepoint.com/"), "{link}");
    let content = client.get(link).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(u64::try_from(content.len()).unwrap(), file.size);
    assert!(simulator.violations().is_empty());
}

#[tokio::test]
async fn the_discovery_document_names_the_public_address() {
    let (_simulator, client) = under_real_names().await;
    let address = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration";
    let document = read(client.get(address).send().await.unwrap()).await;
    assert_eq!(
        document.text("/token_endpoint"),
        "https://login.microsoftonline.com/common/oauth2/v2.0/token"
    );
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_authority_gets_nothing_and_disturbs_nobody() {
    let (simulator, trusting) = under_real_names().await;
    let listening = simulator.listening();
    let suspicious = crate::bench::client();
    assert!(suspicious.get(format!("https://{}/v1.0/me/drive", listening.graph)).send().await.is_err());
    // Nor does one that opens a connection and says nothing.
    let _silent = std::net::TcpStream::connect(listening.graph).unwrap();
    let answer = trusting.get("https://graph.microsoft.com/v1.0/me/drive").send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn the_control_interface_stays_without_tls() {
    let (simulator, _) = under_real_names().await;
    let answer = crate::bench::client().get(format!("{}/control/counters", simulator.control())).send().await;
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn faults_of_the_connection_strike_below_tls_too() {
    let (simulator, client) = under_real_names().await;
    let reset = FaultKind::ConnReset { moment: ResetMoment::Before };
    simulator.faults().add(Fault::new(reset).on(Endpoint::Token).times(1));
    let address = "https://login.microsoftonline.com/common/oauth2/v2.0/token";
    assert!(client.post(address).form(&[("grant_type", "refresh_token")]).send().await.is_err());
    assert_eq!(
        client.post(address).form(&[("grant_type", "refresh_token")]).send().await.unwrap().status(),
        400
    );
}

#[tokio::test]
async fn a_certificate_may_come_from_outside() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let trusted = Certificate::from_pem(own.cert.pem().as_bytes()).unwrap();
    let identity = TlsIdentity::from_pem(own.cert.pem(), own.signing_key.serialize_pem());
    let config = Config { tls: Some(identity), ..Config::default() };
    let simulator = Simulator::start_strict(config).await.unwrap();
    assert!(simulator.graph().starts_with("https://127.0.0.1:"), "{}", simulator.graph());
    let client = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().build().unwrap();
    assert_eq!(client.get(format!("{}/v1.0/me", simulator.graph())).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_before_anything_is_served() {
    let start = async |certificates: &str, key: &str| {
        let tls = Some(TlsIdentity::from_pem(certificates.to_owned(), key.to_owned()));
        Simulator::start_strict(Config { tls, ..Config::default() }).await.unwrap_err()
    };
    assert!(matches!(start("", "").await, StartError::Tls(TlsError::Certificate)));
    let identity = TlsIdentity::make(&["localhost".to_owned()]).unwrap();
    let certificate = identity.authority_pem().unwrap();
    assert!(matches!(start(certificate, "no key").await, StartError::Tls(TlsError::Key)));
}
