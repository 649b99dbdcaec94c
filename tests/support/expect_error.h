// PARE_ERROR_TEXT(code, statement): checks that a statement throws pare::Error, gives its text.
#pragma once

#include "pare/error.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace pare::test {

/// Runs `call` and returns the text of the pare::Error it threw; adds a failure otherwise.
inline std::string error_text(ErrorCode code, const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace pare::test

/// The statement must throw pare::Error with this code; gives its text for further checks.
#define PARE_ERROR_TEXT(code, statement) \
  ::pare::test::error_text(::pare::ErrorCode::code, [&] { statement; })
