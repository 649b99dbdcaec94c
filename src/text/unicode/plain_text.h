// The text of a file as UTF-8, whatever program saved it; what is no text is refused by its name.
#pragma once

#include <filesystem>
#include <string>

namespace pare::text {

/// A byte-order mark of UTF-8 is a character like others to a tokenizer.
enum class Utf8Mark { leave_out, keep };

/// `bytes` as UTF-8, without a byte-order mark unless it is to be kept. UTF-16 and UTF-32 are
/// decoded when they begin with a mark; a character that is cut off at the very end stays as it is.
/// `where` is for messages. Errors: bad_dataset, saying what the bytes seem to be: another
/// encoding, an archive, a table, …
std::string plain_text(std::string bytes, const std::string& where,
                       Utf8Mark mark = Utf8Mark::leave_out);

/// The same of a file. Errors: also file_not_found, file_io.
std::string read_plain_text(const std::filesystem::path& file, Utf8Mark mark = Utf8Mark::leave_out);

}  // namespace pare::text
