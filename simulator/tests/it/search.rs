//! §3: search.

use simulator::Change;

use crate::bench::{Answer, Bench, plain};

fn names(answer: &Answer) -> Vec<&str> {
    answer.body["value"].as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn section_3_names_below_a_folder_are_searched_page_by_page() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let folder = drive.apply(&Change::Mkdir { parent: "/".into(), name: "Reports".into() }).unwrap();
    for (parent, name) in [("/", "report.txt"), ("/Reports", "Annual REPORT's.txt"), ("/Reports", "other")] {
        let file = Change::CreateFile { parent: parent.into(), name: name.into(), size: 1 };
        drive.apply(&file).unwrap();
    }
    let all = bench.get(&token, "me/drive/root/search(q='report')").await;
    let mut found = names(&all);
    found.sort_unstable();
    assert_eq!(found, ["Annual REPORT's.txt", "Reports", "report.txt"]);
    assert!(all.body.get("@odata.nextLink").is_none());
    let quoted = bench.get(&token, "me/drive/search(q='report''s')").await;
    assert_eq!(names(&quoted), ["Annual REPORT's.txt"]);
    let below = bench.get(&token, &format!("me/drive/items/{folder}/search(q='REPORT')")).await;
    assert_eq!(names(&below), ["Annual REPORT's.txt"]);
    let mut page = bench.get(&token, "me/drive/root/search(q='report')?$top=1").await;
    let mut seen = names(&page).len();
    while let Some(next) = page.body["@odata.nextLink"].as_str() {
        page = bench.get(&token, next).await;
        seen += names(&page).len();
    }
    assert_eq!(seen, 3);
    assert_eq!(names(&bench.get(&token, "me/drive/root/search(q='nothing')").await), [""; 0]);
}
