// What RocksDB tells while it works: flushes, stalls, and errors of its background threads.

#pragma once

#include <array>
#include <atomic>

#include <rocksdb/listener.h>

#include "Engine.hpp"

namespace stele {

// Invariant: once an error was told, RocksDB takes no more writes of its own accord: recovery by
// itself is refused, since what a failed sync left behind is not known.
class Events final : public rocksdb::EventListener {
public:
    Events(stele_event_sink sink, void *context) : sink_(sink), context_(context) {}

    const char *Name() const override { return "stele.events"; }

    // The worst condition of all families, one of STELE_WRITES_*.
    uint8_t writes() const;

    // Comes after the manifest was synced: the flushed entries are durable.
    void OnFlushCompleted(rocksdb::DB *db, const rocksdb::FlushJobInfo &info) override;
    void OnBackgroundError(
        rocksdb::BackgroundErrorReason reason, rocksdb::Status *error) override;
    void OnErrorRecoveryBegin(
        rocksdb::BackgroundErrorReason reason, rocksdb::Status error, bool *recovers) override;
    void OnStallConditionsChanged(const rocksdb::WriteStallInfo &info) override;

private:
    void tell(uint8_t event, int32_t code, const std::string &message) const;

    const stele_event_sink sink_;
    void *const context_;
    std::array<std::atomic<uint8_t>, kFamilyCount> conditions_{};
};

}  // namespace stele
