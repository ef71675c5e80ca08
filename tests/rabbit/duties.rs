//! A duty is one process's at a time, and moves when that one ends.

use std::time::Duration;

use windlass::queue::DELIVERY_LIMIT;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::queue::Tenure;
use windlass::queue::rabbit::Options;

use crate::contract::queue::A_WHILE;
use crate::contract::queue::SOON;
use crate::world::broker::Ground;
use crate::world::toxic::Toxic;

async fn process(ground: &Ground, authority: Option<&str>, name: &str) -> Queue {
    let url = windlass::secret::Secret::new(&ground.url(authority)).unwrap();
    Queue::connect(Options::new(url, name)).await.unwrap()
}

async fn assume(queue: &Queue) -> Tenure {
    queue.assume("sweep", SOON).await.unwrap().expect("nobody else has it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_is_had_by_one_and_moves_to_the_next() {
    let ground = Ground::new().await;
    let (one, two) = (process(&ground, None, "one").await, process(&ground, None, "two").await);
    let tenure = assume(&one).await;
    assert!(two.assume("sweep", A_WHILE).await.unwrap().is_none());
    assert_eq!(one.still_holds(&tenure).await.unwrap(), Settled::Done);
    // Another duty is another's.
    assert!(two.assume("post", SOON).await.unwrap().is_some());
    one.close().await;
    let tenure = assume(&two).await;
    assert_eq!(two.still_holds(&tenure).await.unwrap(), Settled::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_outlives_more_changes_of_hands_than_a_message_may_have_deliveries() {
    let ground = Ground::new().await;
    for number in 0..DELIVERY_LIMIT + 5 {
        let process = process(&ground, None, &number.to_string()).await;
        let _tenure = assume(&process).await;
        process.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_loses_the_duty_and_hears_of_it() {
    let ground = Ground::new().await;
    let toxic = Toxic::before(ground.admin.authority()).await;
    let (one, two) =
        (process(&ground, Some(&toxic.authority), "one").await, process(&ground, None, "two").await);
    let tenure = assume(&one).await;
    toxic.cut().await;
    let taken = assume(&two).await;
    let lost = async {
        while one.still_holds(&tenure).await.unwrap() == Settled::Done {
            // why: the end of a connection is noticed by the task that reads from it.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, lost).await.expect("it hears of it soon");
    toxic.mend().await;
    assert!(one.assume("sweep", A_WHILE).await.unwrap().is_none());
    assert_eq!(two.still_holds(&taken).await.unwrap(), Settled::Done);
}
