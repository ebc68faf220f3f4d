// A team of threads for the length of one call: nothing outlives it, so that forked
// processes inherit no threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gapfit {

// Thrown when the caller asks to stop; it then raises what it wants.
struct Interrupted {};

class ThreadTeam {
  public:
    // interrupted: asked now and then, always on the calling thread.
    ThreadTeam(int n_threads, std::function<bool()> interrupted)
        : size_(n_threads < 1 ? 1 : n_threads), interrupted_(std::move(interrupted)) {
        try {
            for (int t = 1; t < size_; ++t) workers_.emplace_back([this, t] { serve(t); });
        } catch (...) {
            dismiss();
            throw;
        }
    }
    ~ThreadTeam() { dismiss(); }
    ThreadTeam(const ThreadTeam &) = delete;
    ThreadTeam &operator=(const ThreadTeam &) = delete;

    int size() const { return size_; }

    // Run task(thread) on every thread and wait; the first exception is thrown again.
    void run(const std::function<void(int)> &task) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            task_ = &task;
            working_ = size_ - 1;
            ++round_;
        }
        start_.notify_all();
        guarded(0);
        std::unique_lock<std::mutex> lock(mutex_);
        finished_.wait(lock, [this] { return working_ == 0; });
        task_ = nullptr;
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

    // To be called between pieces of work: leaves the task by an exception.
    void check(int thread) {
        if (thread == 0 && interrupted_ && interrupted_()) stop_ = true;
        if (stop_) throw Interrupted{};
    }

  private:
    void serve(int thread) {
        int seen = 0;
        while (true) {
            {
                std::unique_lock<std::mutex> lock(mutex_);
                start_.wait(lock, [&] { return over_ || round_ != seen; });
                if (over_) return;
                seen = round_;
            }
            guarded(thread);
            std::lock_guard<std::mutex> lock(mutex_);
            if (--working_ == 0) finished_.notify_one();
        }
    }

    void guarded(int thread) {
        try {
            (*task_)(thread);
        } catch (...) {
            stop_ = true;
            std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
        }
    }

    void dismiss() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
        }
        start_.notify_all();
        for (std::thread &worker : workers_) worker.join();
        workers_.clear();
    }

    int size_;
    std::function<bool()> interrupted_;
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable start_, finished_;
    const std::function<void(int)> *task_ = nullptr;
    int round_ = 0, working_ = 0;
    bool over_ = false;
    std::atomic<bool> stop_{false};
    std::exception_ptr error_;
};

}  // namespace gapfit
