//! A level is loaded as one batch, no matter when its fields request their keys.

use super::Levels;
use async_graphql::dataloader::{DataLoader, Loader};
use futures_util::{StreamExt, future::join_all, stream};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::yield_now;

type Batches = Arc<Mutex<Vec<Vec<usize>>>>;

/// Loader that records the keys of each batch.
struct Recorder(Batches);

impl Loader<usize> for Recorder {
    type Value = usize;
    type Error = ();

    async fn load(&self, keys: &[usize]) -> Result<HashMap<usize, usize>, ()> {
        let mut batch = keys.to_vec();
        batch.sort_unstable();
        self.0.lock().unwrap().push(batch);
        yield_now().await;
        Ok(keys.iter().map(|key| (*key, *key)).collect())
    }
}

fn recorder(levels: &Levels) -> (DataLoader<Recorder>, Batches) {
    let (batches, levels) = (Batches::default(), levels.clone());
    let loader =
        DataLoader::new(Recorder(batches.clone()), move |batch| levels.add(batch)).delay(Duration::ZERO);
    (loader.max_batch_size(usize::MAX), batches)
}

/// Loads a key after the given number of executor turns.
async fn load_after(loader: &DataLoader<Recorder>, turns: usize, key: usize) {
    for _ in 0..turns {
        yield_now().await;
    }
    assert_eq!(loader.load_one(key).await, Ok(Some(key)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_level_is_one_batch_even_if_a_field_loads_late() {
    const FIELDS: usize = 1200;
    let levels = Levels::default();
    let (loader, batches) = recorder(&levels);
    let fields = join_all((0..FIELDS).map(|field| {
        let loader = &loader;
        async move {
            load_after(loader, field % 50, field).await;
            load_after(loader, 50 - field % 50, FIELDS + field).await;
        }
    }));
    levels.resolve(fields).await;
    assert_eq!(*batches.lock().unwrap(), [(0..FIELDS).collect::<Vec<_>>(), (FIELDS..2 * FIELDS).collect()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_waits_for_fields_that_read_without_a_loader() {
    let levels = Levels::default();
    let (loader, batches) = recorder(&levels);
    let (answer, read) = tokio::sync::oneshot::channel();
    let reads = async {
        let reading = levels.reading();
        read.await.unwrap();
        drop(reading);
        load_after(&loader, 0, 1).await;
    };
    let answers = async {
        load_after(&loader, 0, 2).await;
    };
    let late = async {
        for _ in 0..1000 {
            yield_now().await;
        }
        answer.send(()).unwrap();
    };
    levels.clone().resolve(async { tokio::join!(reads, answers, late) }).await;
    assert_eq!(*batches.lock().unwrap(), [[1, 2]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_item_of_a_stream_has_its_own_levels() {
    let levels = Levels::default();
    let (loader, batches) = recorder(&levels);
    let items = stream::iter([10, 20]).then(|item| {
        let loader = &loader;
        async move {
            tokio::join!(load_after(loader, 0, item), load_after(loader, 7, item + 1));
            item
        }
    });
    let items: Vec<usize> = levels.resolve_each(Box::pin(items)).collect().await;
    assert_eq!(items, [10, 20]);
    assert_eq!(*batches.lock().unwrap(), [[10, 11], [20, 21]]);
}
