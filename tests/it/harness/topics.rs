//! Topics that somebody deletes and makes anew.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tokio::task::block_in_place;

use super::{Holdback, eventually};

impl Holdback {
    /// Deletes a topic and makes it anew, as somebody does by mistake.
    pub async fn make_anew(&self, topic: &str) {
        let name = self.bed.topic(topic).to_owned();
        delete(&self.topics_admin(), &name).await;
        eventually("the topic is gone", async || {
            let counts = block_in_place(|| self.admin.partition_counts(&[&name]));
            let gone = counts.map_err(|error| error.to_string())?[&name].is_none();
            gone.then_some(()).ok_or_else(|| "it is there".to_owned())
        })
        .await;
        self.bed.create_topics(vec![name], 2).await;
    }

    /// The same at once, so that running clients hear of another topic and hardly of none.
    pub async fn replace_topic(&self, topic: &str) {
        let name = self.bed.topic(topic).to_owned();
        let admin = self.topics_admin();
        // The first answer takes a connection.
        let options = AdminOptions::new();
        let known = NewTopic::new(&name, 2, TopicReplication::Fixed(1));
        let known = known.set("retention.ms", "-1");
        let there = admin.create_topics([&known], &options).await;
        there.expect("an answer")[0].as_ref().expect_err("there");
        delete(&admin, &name).await;
        let made = admin.create_topics([&known], &options).await;
        made.expect("an answer")[0].as_ref().expect("made anew");
    }

    fn topics_admin(&self) -> AdminClient<DefaultClientContext> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bed.brokers);
        config.create().expect("an admin client")
    }
}

async fn delete(admin: &AdminClient<DefaultClientContext>, name: &str) {
    let deleted = admin.delete_topics(&[name], &AdminOptions::new()).await;
    deleted.expect("an answer")[0].as_ref().expect("deleted");
}
