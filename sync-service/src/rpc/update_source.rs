//! `SourceService.UpdateSource`.

use proto::sync::v1 as pb;
use service_kit::status::Violations;
use tonic::{Response, Status};

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::{
        names::SourceName,
        schedule::{DEFAULT_INTERVAL, MAX_INTERVAL, MIN_INTERVAL},
    },
    ops::{
        Ctx,
        sources::{self, SourceChange},
    },
};

pub(super) async fn answer(ctx: &Ctx, request: pb::UpdateSourceRequest) -> Answer<pb::UpdateSourceResponse> {
    let (name, change) = parse_request(request)?;
    let source = sources::change(ctx, &name, change).await.map_err(status)?;
    Ok(Response::new(pb::UpdateSourceResponse { source: Some(messages::source(&source, ctx.now())) }))
}

fn parse_request(request: pb::UpdateSourceRequest) -> Result<(SourceName, SourceChange), Status> {
    let mut bad = Violations::new();
    let source = request.source.unwrap_or_default();
    let name = bad.check("source.name", SourceName::parse(&source.name));
    let mut change = SourceChange::default();
    let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        bad.add(
            "update_mask",
            "names no field; display_name, interval, full_listing_interval, filter and suspended can change",
        );
    }
    for path in &paths {
        match path.as_str() {
            "display_name" => {
                parse::display_name(&mut bad, "source.display_name", &source.display_name);
                change.display_name = Some(source.display_name.clone());
            }
            "interval" => {
                let limits = MIN_INTERVAL..=MAX_INTERVAL;
                let given = source.interval.as_ref();
                change.interval =
                    Some(parse::duration(&mut bad, "source.interval", given, limits, DEFAULT_INTERVAL));
            }
            "full_listing_interval" => {
                let given = source.full_listing_interval.as_ref();
                change.full_interval = Some(parse::full_interval(&mut bad, given));
            }
            "filter" => change.filter = Some(parse::filter(&mut bad, source.filter.clone())),
            "suspended" => change.suspended = Some(source.suspended),
            other => bad.add("update_mask", format!("{other} cannot change")),
        }
    }
    bad.finish()?;
    Ok((name.ok_or_else(parse::broken)?, change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_fields_change() {
        let request = pb::UpdateSourceRequest {
            source: Some(pb::Source {
                name: "tenants/a/sources/b".into(),
                display_name: "ignored".into(),
                suspended: true,
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["suspended".into()] }),
        };
        let (_, change) = parse_request(request).unwrap();
        assert_eq!(change, SourceChange { suspended: Some(true), ..SourceChange::default() });
    }

    #[test]
    fn what_cannot_change_is_refused() {
        let request = pb::UpdateSourceRequest {
            source: Some(pb::Source { name: "tenants/a/sources/b".into(), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["drive".into()] }),
        };
        assert!(parse_request(request).is_err());
    }
}
