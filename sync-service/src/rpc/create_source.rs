//! `SourceService.CreateSource`.

use std::path::PathBuf;

use graph_client::DrivePath;
use proto::sync::v1 as pb;
use service_kit::{resource_name::ResourceId, status::Violations};
use tonic::{Response, Status};

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::{
        names::{ConnectionName, SourceName, TenantName},
        schedule::{DEFAULT_INTERVAL, MAX_INTERVAL, MIN_INTERVAL},
        source::{Destination, NewSource},
    },
    ops::{Ctx, sources},
};

/// Longest path of a destination, in bytes (`PATH_MAX` of Linux).
const MAX_PATH_BYTES: usize = 4096;

pub(super) async fn answer(ctx: &Ctx, request: pb::CreateSourceRequest) -> Answer<pb::CreateSourceResponse> {
    let spec = parse_request(request)?;
    let source = sources::create(ctx, &spec).await.map_err(status)?;
    Ok(Response::new(pb::CreateSourceResponse { source: Some(messages::source(&source, ctx.now())) }))
}

fn parse_request(request: pb::CreateSourceRequest) -> Result<NewSource, Status> {
    let mut bad = Violations::new();
    let tenant = bad.check("parent", TenantName::parse(&request.parent));
    let id = bad.check("source_id", ResourceId::parse(&request.source_id));
    let source = request.source.unwrap_or_default();
    parse::display_name(&mut bad, "source.display_name", &source.display_name);
    let connection = bad.check("source.connection", ConnectionName::parse(&source.connection));
    if let (Some(tenant), Some(connection)) = (&tenant, &connection)
        && tenant.tenant() != connection.tenant()
    {
        bad.add("source.connection", "belongs to another tenant than the source");
    }
    let drive = bad.check("source.drive", DrivePath::parse(&source.drive));
    let destination = destination(&mut bad, source.destination);
    let interval = parse::duration(
        &mut bad,
        "source.interval",
        source.interval.as_ref(),
        MIN_INTERVAL..=MAX_INTERVAL,
        DEFAULT_INTERVAL,
    );
    let full_interval = parse::full_interval(&mut bad, source.full_listing_interval.as_ref());
    let filter = parse::filter(&mut bad, source.filter);
    bad.finish()?;
    let (Some(tenant), Some(id), Some(connection), Some(drive), Some(destination)) =
        (tenant, id, connection, drive, destination)
    else {
        return Err(parse::broken());
    };
    Ok(NewSource {
        name: SourceName::new(tenant.tenant().clone(), id),
        display_name: source.display_name,
        connection,
        drive,
        destination,
        interval,
        full_interval,
        filter,
        suspended: source.suspended,
    })
}

fn destination(bad: &mut Violations, destination: Option<pb::source::Destination>) -> Option<Destination> {
    let Some(pb::source::Destination::LocalFolder(folder)) = destination else {
        bad.add("source.destination", "is required");
        return None;
    };
    let field = "source.local_folder.path";
    let path = PathBuf::from(&folder.path);
    if !path.is_absolute() || path.parent().is_none() {
        bad.add(field, "must be an absolute path below the file system's root");
    } else if folder.path.len() > MAX_PATH_BYTES || folder.path.contains('\0') {
        bad.add(field, "is too long or holds a NUL");
    } else if path.components().any(|part| part == std::path::Component::ParentDir) {
        bad.add(field, "must not hold ..");
    } else {
        return Some(Destination::LocalFolder(path));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_field_is_named_at_once() {
        let request = pb::CreateSourceRequest {
            parent: "tenants/NO".into(),
            source_id: "-".into(),
            source: Some(pb::Source {
                connection: "x".into(),
                drive: "y".into(),
                interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
                ..Default::default()
            }),
        };
        let status = parse_request(request).unwrap_err();
        let fields: Vec<String> =
            service_kit::status::status_violations(&status).into_iter().map(|(field, _)| field).collect();
        let expected = [
            "parent",
            "source_id",
            "source.connection",
            "source.drive",
            "source.destination",
            "source.interval",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_connection_of_another_tenant_is_refused() {
        let request = pb::CreateSourceRequest {
            parent: "tenants/a".into(),
            source_id: "s".into(),
            source: Some(pb::Source {
                connection: "tenants/b/connections/c".into(),
                drive: "me/drive".into(),
                destination: Some(pb::source::Destination::LocalFolder(pb::LocalFolder {
                    path: "/d/e".into(),
                })),
                ..Default::default()
            }),
        };
        let status = parse_request(request).unwrap_err();
        assert_eq!(service_kit::status::status_violations(&status).len(), 1);
    }
}
