// Moving an iterator from user key to user key.
//
// Steps are taken one by one at first, which is cheap when versions are few, and by seeking after
// kSteps of them, so that a key with many versions costs one seek.

#pragma once

#include "CursorLease.hpp"
#include "Found.hpp"

namespace stele {

constexpr int kSteps = 4;

// RocksDB is asked once a move where the iterator stands, and not for every look at it: each of its
// answers is a chain of virtual calls.
//
// A failure stays: a later move of the iterator would hide it, and what was passed over with it.
//
// Invariant: `key_` and `isOnCurrentKey_` describe the iterator; only a walk moves it.
class Walk {
public:
    explicit Walk(Cursor &cursor) : cursor_(cursor), iterator_(*cursor.iterator) {}

    // Whether the walk is at a version, and which one.
    bool isValid() const { return isValid_; }
    rocksdb::Slice user() const { return userKey(key_); }
    uint64_t timestamp() const { return timestampOf(key_); }
    // False if the version cannot be read.
    bool version(stele_found *found) const {
        return foundVersion(key_, iterator_.value(), found);
    }
    Failure status() const { return failureOf(status_); }

    // The key that the walk deals with; it need not have versions.
    rocksdb::Slice current() const { return rocksdb::Slice(cursor_.user); }
    bool isOnCurrentKey() const { return isOnCurrentKey_; }

    // Makes the key of the version that the walk is at the current one.
    void makeCurrent() {
        const rocksdb::Slice key = user();
        cursor_.user.assign(key.data(), key.size());
        isOnCurrentKey_ = true;
    }

    void makeCurrent(const rocksdb::Slice &user) {
        cursor_.user.assign(user.data(), user.size());
        arrive();
    }

    void seek(const rocksdb::Slice &user, uint64_t timestamp) {
        iterator_.Seek(versionKey(cursor_.bound, user, timestamp));
        arrive();
    }

    void seekBack(const rocksdb::Slice &user, uint64_t timestamp) {
        iterator_.SeekForPrev(versionKey(cursor_.bound, user, timestamp));
        arrive();
    }

    void seekToLast() {
        iterator_.SeekToLast();
        arrive();
    }

    void next() {
        iterator_.Next();
        arrive();
    }

    void previous() {
        iterator_.Prev();
        arrive();
    }

    // Goes forward to the first version of the next key.
    void skipForward() {
        for (int step = 0; step < kSteps; ++step) {
            if (!isOnCurrentKey_) return;
            next();
        }
        if (!isOnCurrentKey_) return;
        // The smallest key behind the current one is the same with a zero byte added.
        seek(cursor_.user + '\0', kNewest);
    }

    // Goes backward to the last version of the key before.
    void skipBackward() {
        for (int step = 0; step < kSteps; ++step) {
            if (!isOnCurrentKey_) return;
            previous();
        }
        if (!isOnCurrentKey_) return;
        seekBack(current(), kNewest);
        if (isOnCurrentKey_) previous();
    }

protected:
    Cursor &cursor_;

private:
    void arrive() {
        isValid_ = status_.ok() && iterator_.Valid();
        if (isValid_) {
            key_ = iterator_.key();
        } else if (status_.ok()) {
            status_ = iterator_.status();
        }
        isOnCurrentKey_ = isValid_ && user() == current();
    }

    rocksdb::Iterator &iterator_;
    rocksdb::Status status_;
    bool isValid_ = false;
    bool isOnCurrentKey_ = false;
    rocksdb::Slice key_;
};

}  // namespace stele
