/// The encodings that clients name.
///
/// Text goes out in UTF-8, as it is stored. `SQL_ASCII` asks for no conversion, so it is the same;
/// what comes in is checked to be UTF-8 either way.
enum ClientEncoding {
    /// PostgreSQL's name for an encoding; nil if it knows none of this name. Only letters and
    /// digits count.
    static func name(_ written: String) -> String? {
        let key = written.unicodeScalars.filter {
            $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil)
        }
        return names[String(String.UnicodeScalarView(key)).lowercased()]
    }

    private static let names: [String: String] = {
        var names = [
            "utf8": "UTF8", "unicode": "UTF8", "sqlascii": "SQL_ASCII", "iso88591": "LATIN1",
            "iso88592": "LATIN2", "iso88593": "LATIN3", "iso88594": "LATIN4",
            "iso88599": "LATIN5", "iso885910": "LATIN6", "iso885913": "LATIN7",
            "iso885914": "LATIN8", "iso885915": "LATIN9", "iso885916": "LATIN10",
            "iso88595": "ISO_8859_5", "iso88596": "ISO_8859_6", "iso88597": "ISO_8859_7",
            "iso88598": "ISO_8859_8", "koi8": "KOI8R", "koi8r": "KOI8R", "koi8u": "KOI8U",
            "eucjp": "EUC_JP", "euccn": "EUC_CN", "euckr": "EUC_KR", "euctw": "EUC_TW",
            "eucjis2004": "EUC_JIS_2004", "sjis": "SJIS", "shiftjis": "SJIS", "mskanji": "SJIS",
            "big5": "BIG5", "gbk": "GBK", "uhc": "UHC", "gb18030": "GB18030", "johab": "JOHAB",
            "shiftjis2004": "SHIFT_JIS_2004", "muleinternal": "MULE_INTERNAL", "abc": "WIN1258",
            "alt": "WIN866", "win": "WIN1251", "tcvn": "WIN1258", "tcvn5712": "WIN1258",
            "vscii": "WIN1258", "win949": "UHC", "win950": "BIG5", "win936": "GBK",
            "win932": "SJIS",
        ]
        for number in 1...10 { names["latin\(number)"] = "LATIN\(number)" }
        for page in [866, 874] + Array(1250...1258) {
            names["win\(page)"] = "WIN\(page)"
            names["windows\(page)"] = "WIN\(page)"
        }
        return names
    }()
}
