// Shares of work on a pool of threads.
//
// The result of a call depends on the number of shares only: which thread takes a share,
// and when, does not matter. The caller works, too, and takes over the shares of workers
// that are late or busy for another caller.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace gapfit {

#if defined(_WIN32)
inline int process_id() { return _getpid(); }
#else
inline int process_id() { return getpid(); }
#endif

// What GNU's library ends a thread with. Others use no exception that handlers see.
#if defined(__GLIBCXX__)
using ForcedUnwind = abi::__forced_unwind;
#else
struct ForcedUnwind {};
#endif

// Thrown when the caller asks to stop; it then raises what it wants.
struct Interrupted {};

namespace detail {

// Shares of one task, taken by whoever comes first.
struct Round {
    const std::function<void(int)> *task = nullptr;
    int n_shares = 0;
    std::atomic<int> next{0};

    void work() {
        for (int share = next++; share < n_shares; share = next++) (*task)(share);
    }
};

// Threads that sleep between tasks. A forked process has none of its parent's threads, so
// it gets a pool of its own; pools are never destroyed, for threads may outlive statics.
class Pool {
  public:
    static Pool &of_this_process() {
        static std::atomic<Pool *> current{nullptr};
        Pool *pool = current.load();
        if (pool != nullptr && pool->process_ == process_id()) return *pool;
        Pool *fresh = new Pool;
        if (current.compare_exchange_strong(pool, fresh)) return *fresh;
        delete fresh;  // another thread was faster
        return *pool;
    }

    // Run the round with up to n_workers helpers; none if they serve another caller. While
    // the caller waits for them, it calls idle() now and then.
    template <class Idle>
    void run(Round &round, int n_workers, const Idle &idle) {
        std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
        if (!owner.owns_lock() || n_workers < 1) {
            round.work();
            return;
        }
        {
            std::lock_guard<std::mutex> lock(mutex_);
            hire(n_workers);
            round_ = &round;
            open_ = n_workers;
        }
        start_.notify_all();
        round.work();
        std::unique_lock<std::mutex> lock(mutex_);
        open_ = 0;  // who has not begun by now is not needed
        round_ = nullptr;
        constexpr auto patience = std::chrono::milliseconds(20);
        while (!finished_.wait_for(lock, patience, [this] { return busy_ == 0; })) {
            lock.unlock();
            idle();
            lock.lock();
        }
    }

  private:
    void hire(int n_workers) {
        for (; hired_ < n_workers; ++hired_) {
            try {
                std::thread([this] { serve(); }).detach();
            } catch (const std::exception &) {
                return;  // the machine has no more threads: fewer will do
            }
        }
    }

    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (true) {
            start_.wait(lock, [this] { return open_ > 0; });
            --open_;
            ++busy_;
            Round *round = round_;
            lock.unlock();
            round->work();
            lock.lock();
            if (--busy_ == 0) finished_.notify_all();
        }
    }

    const int process_ = process_id();
    std::mutex owner_;  // held by the caller whom the workers serve
    std::mutex mutex_;  // of all below
    std::condition_variable start_, finished_;
    Round *round_ = nullptr;
    int hired_ = 0, open_ = 0, busy_ = 0;
};

}  // namespace detail

class ThreadTeam {
  public:
    // interrupted: asked now and then, always on the calling thread.
    ThreadTeam(int n_threads, std::function<bool()> interrupted)
        : size_(n_threads < 1 ? 1 : n_threads), interrupted_(std::move(interrupted)) {}

    int size() const { return size_; }

    // Run task(share) for every share and wait; the first exception is thrown again.
    void run(const std::function<void(int)> &task) {
        const std::function<void(int)> guarded = [&](int share) {
            try {
                task(share);
            } catch (const ForcedUnwind &) {
                throw;  // the thread is being ended, which must not be caught
            } catch (const Interrupted &) {
                fail(std::current_exception(), false);
            } catch (...) {
                fail(std::current_exception(), true);
            }
        };
        detail::Round round;
        round.task = &guarded;
        round.n_shares = size_;
        detail::Pool::of_this_process().run(round, size_ - 1, [this] { ask(); });
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

    // To be called between pieces of work: leaves the task by an exception.
    void check() {
        if (std::this_thread::get_id() == caller_) ask();
        if (stop_) throw Interrupted{};
    }

  private:
    void ask() {
        if (interrupted_ && interrupted_()) stop_ = true;
    }

    // Shares that merely stop because of an error must not hide it.
    void fail(const std::exception_ptr &error, bool is_cause) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!error_ || (is_cause && !has_cause_)) error_ = error;
        has_cause_ = has_cause_ || is_cause;
        stop_ = true;
    }

    int size_;
    std::function<bool()> interrupted_;
    const std::thread::id caller_ = std::this_thread::get_id();
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
    bool has_cause_ = false;
};

}  // namespace gapfit
