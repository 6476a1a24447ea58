//! JSON as the services send it, good and odd.

use serde_json::json;

use super::*;

fn item(value: Value) -> DriveItem {
    DriveItem::try_from(serde_json::from_value::<WireItem>(value).unwrap()).unwrap()
}

#[test]
fn a_business_file() {
    let file = item(json!({
        "id": "01ABC", "name": "report.docx", "size": 20480,
        "eTag": "\"{7C1A},3\"", "cTag": "\"c:{7C1A},2\"",
        "createdDateTime": "2026-01-02T03:04:05Z", "lastModifiedDateTime": "2026-02-03T04:05:06Z",
        "parentReference": {"driveId": "b!x", "driveType": "documentLibrary", "id": "01P", "path": "/drives/b!x/root:/R"},
        "file": {"mimeType": "application/x", "hashes": {"quickXorHash": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}},
        "fileSystemInfo": {"lastModifiedDateTime": "2026-02-03T04:05:00Z"},
        "@microsoft.graph.downloadUrl": "https://contoso.sharepoint.com/x?tempauth=canary",
        "somethingNew": {"deep": [1, 2, 3]}
    }));
    assert_eq!(file.id, "01ABC");
    assert_eq!(file.name.as_deref(), Some("report.docx"));
    assert_eq!(file.parent_id.as_deref(), Some("01P"));
    assert_eq!(file.parent_drive_id.as_deref(), Some("b!x"));
    assert_eq!(file.kind, ItemKind::File);
    assert_eq!(file.size, Some(20480));
    assert_eq!(file.e_tag.as_deref(), Some("\"{7C1A},3\""));
    assert_eq!(file.c_tag.as_deref(), Some("\"c:{7C1A},2\""));
    assert_eq!(file.quick_xor_hash.as_deref(), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    assert_eq!(file.modified_unix_ms, Some(1_770_091_500_000));
    assert!(file.download_link.is_some());
    assert!(!file.deleted && !file.malware);
    assert!(!format!("{file:?}").contains("canary"));
}

#[test]
fn a_business_tombstone_has_no_name_and_no_hash() {
    let gone = item(json!({
        "id": "01Z", "deleted": {"state": "deleted"},
        "file": {"hashes": {"quickXorHash": "stale"}},
        "lastModifiedDateTime": "0001-01-01T00:00:00Z",
        "parentReference": {"driveId": "b!x", "driveType": "business", "id": "01F"}
    }));
    assert!(gone.deleted);
    assert_eq!((gone.name, gone.quick_xor_hash, gone.modified_unix_ms), (None, None, None));
    assert_eq!(gone.parent_id.as_deref(), Some("01F"));
}

#[test]
fn an_empty_deleted_facet_counts_and_null_does_not() {
    assert!(item(json!({"id": "1", "deleted": {}})).deleted);
    assert!(item(json!({"id": "1", "deleted": "yes"})).deleted);
    assert!(!item(json!({"id": "1", "deleted": null})).deleted);
    assert!(!item(json!({"id": "1"})).deleted);
}

#[test]
fn the_most_particular_facet_is_the_kind() {
    for (facets, kind) in [
        (json!({"id": "1", "root": {}, "folder": {"childCount": 2}}), ItemKind::Root),
        (json!({"id": "1", "folder": {"childCount": 2}}), ItemKind::Folder),
        (json!({"id": "1", "folder": {}}), ItemKind::Folder),
        (json!({"id": "1", "package": {"type": "oneNote"}, "folder": {}}), ItemKind::Package),
        (json!({"id": "1", "remoteItem": {"id": "2", "folder": {}}, "folder": {}}), ItemKind::Remote),
        (json!({"id": "1", "file": {}}), ItemKind::File),
        (json!({"id": "1", "file": "odd"}), ItemKind::File),
        (json!({"id": "1", "file": null, "folder": null}), ItemKind::Unknown),
        (json!({"id": "1", "bundle": {}}), ItemKind::Unknown),
    ] {
        assert_eq!(item(facets.clone()).kind, kind, "{facets}");
    }
}

#[test]
fn hashes_may_be_empty_or_missing() {
    for file in
        [json!({}), json!({"hashes": {}}), json!({"hashes": null}), json!({"hashes": {"quickXorHash": ""}})]
    {
        assert_eq!(item(json!({"id": "1", "file": file})).quick_xor_hash, None);
    }
}

#[test]
fn members_of_the_wrong_kind_count_as_absent() {
    let odd = item(json!({
        "id": "1", "name": 5, "size": "many", "eTag": [], "parentReference": "none", "fileSystemInfo": 7,
        "lastModifiedDateTime": null, "specialFolder": true, "@microsoft.graph.downloadUrl": {}
    }));
    assert_eq!((odd.name, odd.size, odd.e_tag, odd.parent_id), (None, None, None, None));
    assert!(odd.modified_unix_ms.is_none() && odd.special_folder.is_none() && odd.download_link.is_none());
    assert_eq!(item(json!({"id": "1", "size": -1})).size, None);
}

#[test]
fn a_broken_file_system_time_falls_back_to_the_services_own() {
    let file = item(json!({
        "id": "1", "fileSystemInfo": {"lastModifiedDateTime": "0001-01-01T00:00:00Z"},
        "lastModifiedDateTime": "1970-01-01T00:00:02Z"
    }));
    assert_eq!(file.modified_unix_ms, Some(2000));
}

#[test]
fn names_stay_as_they_came() {
    for name in ["a%20b.txt", "e\u{301}", "\u{e9}", " lead", "\u{1f600}"] {
        assert_eq!(item(json!({"id": "1", "name": name})).name.as_deref(), Some(name));
    }
}

#[test]
fn both_spellings_of_the_download_link_are_read() {
    assert!(
        item(json!({"id": "1", "@content.downloadUrl": "https://x.sharepoint.com/"})).download_link.is_some()
    );
    let both = json!({"id": "1", "@content.downloadUrl": "https://a/", "@microsoft.graph.downloadUrl": "https://b/"});
    assert!(item(both).download_link.is_some());
}

#[test]
fn facets_for_care() {
    let item = item(json!({"id": "1", "malware": {}, "specialFolder": {"name": "vault"}}));
    assert!(item.malware);
    assert_eq!(item.special_folder.as_deref(), Some("vault"));
}

#[test]
fn an_item_without_an_id_is_refused() {
    for value in [json!({}), json!({"id": ""}), json!({"id": 5})] {
        let wire = serde_json::from_value::<WireItem>(value).unwrap();
        assert!(matches!(DriveItem::try_from(wire), Err(GraphError::Malformed { .. })));
    }
}
