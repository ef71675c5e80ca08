//! A newer process has brought the database to its form, and an older one goes on.

use sqlx::Connection;
use sqlx::PgConnection;
use windlass::store::Sought;

use crate::desk::Desk;
use crate::desk::commit;
use crate::desk::name;
use crate::desk::roster;
use crate::place::Place;
use crate::place::on_postgres;

async fn columns_that_a_newer_process_adds_disturb_no_older_one(place: Place) {
    let desk = Desk::new(&place).await;
    let read = async || {
        let due = desk.due().await.len();
        let (source, first) = (name("git"), commit('a'));
        desk.store.memory(&source).await.unwrap();
        desk.store.runs(&Sought::default(), 10).await.unwrap();
        let verdicts = desk.store.verdicts(&source, &first).await.unwrap().len();
        (due, verdicts, desk.store.statuses(&source, &first).await.unwrap().len())
    };
    desk.hear(roster("d", &commit('a'), &["shop@east"])).await;
    let before = read().await;
    let mut newer = PgConnection::connect(desk.home.url().expose()).await.unwrap();
    for table in ["statuses", "ledger", "runs", "memory", "covered"] {
        let statement = format!("ALTER TABLE {table} ADD COLUMN newer TEXT");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut newer).await.unwrap();
    }
    assert_eq!(read().await, before);
    desk.hear(roster("e", &commit('b'), &["shop@east"])).await;
}

on_postgres!(columns_that_a_newer_process_adds_disturb_no_older_one);
