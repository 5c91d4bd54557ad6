//! The basic flow over a socket: a form in, XML out, no signature.

use serde_json::json;

use crate::client::{Answer, Client};
use crate::server::Server;
use crate::signed::{Guest, developer};

const MEDIA: &str = "application/x-www-form-urlencoded; charset=utf-8";

async fn post(client: &mut Client, media_type: &str, extra: &str, form: &str) -> Answer {
    let length = form.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\n{extra}\
         Content-Length: {length}\r\n\r\n"
    );
    client.ask(head + form).await
}

#[tokio::test]
async fn old_clients_get_credentials_that_sign() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let guest = Guest::new(&mut client).await;
    let wish = json!({ "IdentityId": guest.identity });
    let root = developer("cognito-identity");
    let token = client.identity(&root, "GetOpenIdToken", &wish).await.json();
    let token = token["Token"].as_str().unwrap();
    let form = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=app\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fr&WebIdentityToken={token}"
    );
    let answer = post(&mut client, MEDIA, "", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.has("Content-Type: text/xml");
    let element = |name: &str| {
        let (_, rest) = answer.text().split_once(&format!("<{name}>")).unwrap();
        rest.split_once("</").unwrap().0
    };
    assert_eq!(
        Some(element("RequestId")),
        answer.header("x-amzn-RequestId")
    );
    let (key, secret) = (element("AccessKeyId"), element("SecretAccessKey"));
    let session = element("SessionToken");
    let mut signer = developer("cognito-sync");
    (signer.access_key_id, signer.secret) = (key, secret);
    signer.security_token = Some(session);
    let target = format!(
        "/identitypools/{}/identities/{}",
        guest.pool, guest.identity
    );
    let usage = client.signed(&signer, "GET", &target, &[], b"").await;
    assert_eq!(usage.status, 200, "{}", usage.text());
}

#[tokio::test]
async fn errors_have_the_form_of_sts() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (form, status, code) in [
        ("", 400, "InvalidAction"),
        ("Action=AssumeRole&Version=2011-06-15", 400, "InvalidAction"),
        ("a=%ff", 400, "MalformedQueryString"),
    ] {
        let answer = post(&mut client, MEDIA, "", form).await;
        assert_eq!(answer.status, status);
        let id = answer.header("x-amzn-RequestId").unwrap();
        let begin = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">";
        assert!(answer.text().starts_with(begin), "{}", answer.text());
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")));
        assert!(
            answer
                .text()
                .ends_with(&format!("<RequestId>{id}</RequestId></ErrorResponse>"))
        );
    }
    // A named operation stays one, whatever its media type.
    let target = "X-Amz-Target: AWSCognitoIdentityService.GetId\r\n";
    let answer = post(&mut client, MEDIA, target, "{}").await;
    answer.exception(400, "InvalidParameterException");
    let answer = post(&mut client, "text/plain", "", "Action=x").await;
    answer.exception(400, "UnknownOperationException");
}
