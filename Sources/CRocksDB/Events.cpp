#include "Events.hpp"

#include <algorithm>

namespace stele {
namespace {

const char *nameOf(rocksdb::BackgroundErrorReason reason) {
    switch (reason) {
    case rocksdb::BackgroundErrorReason::kFlush:
    case rocksdb::BackgroundErrorReason::kFlushNoWAL:
        return "a flush";
    case rocksdb::BackgroundErrorReason::kCompaction:
        return "a compaction";
    case rocksdb::BackgroundErrorReason::kMemTable:
        return "an insertion";
    case rocksdb::BackgroundErrorReason::kManifestWrite:
    case rocksdb::BackgroundErrorReason::kManifestWriteNoWAL:
        return "a change of the manifest";
    default:
        return "background work";
    }
}

uint8_t conditionOf(rocksdb::WriteStallCondition condition) {
    switch (condition) {
    case rocksdb::WriteStallCondition::kDelayed:
        return STELE_WRITES_DELAYED;
    case rocksdb::WriteStallCondition::kStopped:
        return STELE_WRITES_STOPPED;
    default:
        return STELE_WRITES_NORMAL;
    }
}

}  // namespace

uint8_t Events::writes() const {
    uint8_t worst = STELE_WRITES_NORMAL;
    for (const std::atomic<uint8_t> &condition : conditions_) {
        worst = std::max(worst, condition.load(std::memory_order_relaxed));
    }
    return worst;
}

void Events::OnFlushCompleted(rocksdb::DB *, const rocksdb::FlushJobInfo &) {
    tell(STELE_EVENT_FLUSHED, STELE_OK, std::string());
}

void Events::OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status *error) {
    Failure result = failureOf(*error);
    if (!result.isFailure()) return;
    tell(STELE_EVENT_FAILED, result.code, std::string(nameOf(reason)) + ": " + result.message);
}

void Events::OnErrorRecoveryBegin(
    rocksdb::BackgroundErrorReason, rocksdb::Status error, bool *recovers) {
    error.PermitUncheckedError();
    *recovers = false;
}

void Events::OnStallConditionsChanged(const rocksdb::WriteStallInfo &info) {
    const auto family = std::find(kFamilyNames, kFamilyNames + kFamilyCount, info.cf_name);
    if (family == kFamilyNames + kFamilyCount) return;
    conditions_[static_cast<size_t>(family - kFamilyNames)].store(
        conditionOf(info.condition.cur), std::memory_order_relaxed);
    tell(STELE_EVENT_WRITES, writes(), std::string());
}

void Events::tell(uint8_t event, int32_t code, const std::string &message) const {
    if (sink_ != nullptr) sink_(context_, event, code, bytes(message));
}

}  // namespace stele
