#include "Rows.hpp"

#include <cstdlib>
#include <functional>
#include <string_view>

namespace stele {
namespace {

// A write voids the rows of its stripe: few others as long as stripes are many.
constexpr size_t kStripes = 1 << 17;

// In one piece of memory, in front of its value.
struct Row {
    uint64_t stamp;
    uint64_t timestamp;
    uint64_t transaction;
    uint32_t count;
    uint8_t outcome;

    char *value() { return reinterpret_cast<char *>(this + 1); }
};

void freeRow(const rocksdb::Slice &, void *row) { std::free(row); }

}  // namespace

Rows::Rows(std::shared_ptr<rocksdb::Cache> cache)
    : cache_(std::move(cache)), store_(cache_->NewId()),
      stamps_(new std::atomic<uint64_t>[kStripes]()) {}

uint32_t Rows::stripe(const rocksdb::Slice &user) {
    const size_t hash = std::hash<std::string_view>()(std::string_view(user.data(), user.size()));
    return static_cast<uint32_t>(hash % kStripes);
}

// There is one writer.
void Rows::touch(const std::vector<uint32_t> &stripes) {
    for (const uint32_t stripe : stripes) {
        std::atomic<uint64_t> &stamp = stamps_[stripe];
        stamp.store(stamp.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
}

RowRead::RowRead(Rows &rows, const rocksdb::Slice &user)
    : rows_(rows), stripe_(Rows::stripe(user)), stamp_(rows.stamp(stripe_)),
      nameCount_(kPrefixBytes + user.size()) {
    std::memcpy(name_, &rows.store_, sizeof rows.store_);
    std::memcpy(name_ + kPrefixBytes, user.data(), user.size());
    interleave();
}

RowRead::~RowRead() {
    if (handle_ != nullptr) rows_.cache_->Release(handle_);
}

bool RowRead::find(stele_found *found) {
    handle_ = rows_.cache_->Lookup(name());
    if (handle_ == nullptr) return false;
    Row *const row = static_cast<Row *>(rows_.cache_->Value(handle_));
    if (row->stamp != stamp_) return false;
    found->outcome = row->outcome;
    found->sequence = 0;
    found->timestamp = row->timestamp;
    found->transaction = row->transaction;
    found->bytes =
        stele_bytes{reinterpret_cast<const uint8_t *>(row->value()), row->count};
    return true;
}

void RowRead::keep(const stele_found &newest) {
    interleave();
    const size_t bytes = sizeof(Row) + newest.bytes.count;
    if (nameCount_ + bytes > Rows::kLargestRow) return;
    Row *const row = static_cast<Row *>(std::malloc(bytes));
    if (row == nullptr) return;
    *row = Row{
        stamp_, newest.timestamp, newest.transaction, static_cast<uint32_t>(newest.bytes.count),
        newest.outcome};
    std::memcpy(row->value(), newest.bytes.data, newest.bytes.count);
    // It takes an earlier row's place. Where it has no room it is freed at once.
    rows_.cache_->Insert(name(), row, bytes, freeRow).PermitUncheckedError();
}

}  // namespace stele
