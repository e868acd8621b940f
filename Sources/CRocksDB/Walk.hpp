// Moving an iterator from user key to user key.
//
// Steps are taken one by one at first, which is cheap when versions are few, and by seeking after
// kSteps of them, so that a key with many versions costs one seek.

#pragma once

#include "CursorLease.hpp"

namespace stele {

constexpr int kSteps = 4;

class Walk {
public:
    explicit Walk(Cursor &cursor) : cursor_(cursor), iterator_(*cursor.iterator) {}

    // The key that the walk is at; it need not have versions.
    rocksdb::Slice current() const { return rocksdb::Slice(cursor_.user); }

    bool isOnCurrentKey() const {
        return iterator_.Valid() && userKey(iterator_.key()) == current();
    }

    void makeCurrent(const rocksdb::Slice &user) {
        cursor_.user.assign(user.data(), user.size());
    }

    // Goes forward to the first version of the next key.
    void skipForward() {
        for (int step = 0; step < kSteps; ++step) {
            if (!isOnCurrentKey()) return;
            iterator_.Next();
        }
        if (!isOnCurrentKey()) return;
        // The smallest key behind the current one is the same with a zero byte added.
        const std::string next = cursor_.user + '\0';
        iterator_.Seek(versionKey(cursor_.bound, next, kNewest));
    }

    // Goes backward to the last version of the key before.
    void skipBackward() {
        for (int step = 0; step < kSteps; ++step) {
            if (!isOnCurrentKey()) return;
            iterator_.Prev();
        }
        if (!isOnCurrentKey()) return;
        iterator_.SeekForPrev(versionKey(cursor_.bound, cursor_.user, kNewest));
        if (isOnCurrentKey()) iterator_.Prev();
    }

protected:
    Cursor &cursor_;
    rocksdb::Iterator &iterator_;
};

}  // namespace stele
