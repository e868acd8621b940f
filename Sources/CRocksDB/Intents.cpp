#include "Intents.hpp"

namespace stele {

namespace {
constexpr char kIntentVersion = 1;
}  // namespace

bool decodeIntent(const rocksdb::Slice &bytes, StoredIntent *intent) {
    if (bytes.size() < kIntentHeaderBytes || bytes[0] != kIntentVersion) return false;
    intent->kind = static_cast<VersionKind>(bytes[1]);
    if (intent->kind != VersionKind::value && intent->kind != VersionKind::deletion) return false;
    uint32_t anchorCount;
    std::memcpy(&intent->transaction, bytes.data() + 2, 8);
    std::memcpy(&intent->timestamp, bytes.data() + 10, 8);
    std::memcpy(&intent->sequence, bytes.data() + 18, 4);
    std::memcpy(&anchorCount, bytes.data() + 22, 4);
    const size_t rest = bytes.size() - kIntentHeaderBytes;
    if (anchorCount > rest) return false;
    if (intent->kind == VersionKind::deletion && anchorCount != rest) return false;
    intent->anchor = rocksdb::Slice(bytes.data() + kIntentHeaderBytes, anchorCount);
    intent->value = rocksdb::Slice(
        bytes.data() + kIntentHeaderBytes + anchorCount, rest - anchorCount);
    return true;
}

void Intents::apply(const IntentChanges &changes) {
    const std::lock_guard<std::mutex> guard(mutex_);
    // Readers keep what they hold; whoever takes a view from now on waits for the mutex.
    if (table_->views.load(std::memory_order_acquire) > 0) {
        auto copy = std::make_shared<Table>();
        copy->map = table_->map;
        table_ = std::move(copy);
    }
    IntentMap &map = table_->map;
    for (const auto &[key, intent] : changes) {
        if (intent) {
            map.insert_or_assign(key, *intent);
        } else {
            map.erase(key);
        }
    }
    count_.store(map.size(), std::memory_order_release);
}

rocksdb::Status Intents::load(rocksdb::DB &db, rocksdb::ColumnFamilyHandle *locks) {
    auto loaded = std::make_shared<Table>();
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    std::unique_ptr<rocksdb::Iterator> iterator(db.NewIterator(options, locks));
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
        StoredIntent intent;
        if (!decodeIntent(iterator->value(), &intent)) {
            return rocksdb::Status::Corruption("a stored intent has an unknown form");
        }
        loaded->map.emplace_hint(
            loaded->map.end(), iterator->key().ToString(), iterator->value().ToString());
    }
    if (!iterator->status().ok()) return iterator->status();
    const std::lock_guard<std::mutex> guard(mutex_);
    table_ = std::move(loaded);
    count_.store(table_->map.size(), std::memory_order_release);
    return rocksdb::Status::OK();
}

}  // namespace stele
