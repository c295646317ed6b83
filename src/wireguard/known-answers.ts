/**
 * What the inputs of the self-test come to, in hexadecimal, as noble computes it: the unit tests hold noble
 * against them. Written down so that a data plane that OpenSSL serves neither loads noble nor waits for it.
 */

/** Of the messages of `SIZES`; a tag stands for its ciphertext. */
export const TAGS = [
  '8715499ff3de4a99b12bccef8e152daa',
  '8bb9aae27125462b0ce298198effe94c',
  '2f18658b28901fbeec40be91f7c0ef68',
  'c84103564e543b2b82712ceadb6e6a66',
  '3f1c6a01cfbc458726f619e6c2e71044',
  '3d7fe9f0bf606806e95fe641d584c859',
  'b4f94ba2db305d285219d533d379a4dd',
  '776328cb3eb4d4b6efbc5f45fa3cda65',
  '425baa212e9838917fe7ee84c6fa50d4',
  '3e8340dfb0205c1272696b17f2ad5a80',
  'ebd4418e8c170cf51aec257780300d74',
  '13ff366b35472ba891f0e5f77ccd5d02',
  '93e905c7e24d389640d9f5be66c12afc',
  '935ec7f595a73a37838e844464f6eddc',
  'd5368ee2e2c2c34fcf209024ea9c3492',
  '6521fd8e89846915ded6d8f931e3aa23',
  'bff35555b4c036d321bd74bca748887b',
  '7175c9e2f1060037018a51a135951f92',
];

export const PUBLIC_KEY = '9879fa269fe2dfd6a6ec35717f4527af79153ab1bc19183217df3e2705d8137b';
export const SHARED_SECRET = '6cfb4c869a8644bc486d795e4c80e6a13c5216e69cda7b6cd97936dc7fe68438';

/** Hash(key ‖ input) for the sizes of `HASHED`. */
export const HASHES = [
  'e6e1057506c6cf66fa99742f8b97c47bef5fbbfc60e38ac33f2125133bfec77b',
  '58af072b4985557af20eaee523ec4930192c6db01856d989f92f5c0f3b92f8af',
  'b61e5863a5a8ff5f00fd58d93f76b65d9907bebd9e5ffbea7a3db5a5df77fb6b',
  '790099471cb8e5d05997b78ddfdb50a4ddb4055455561a50f7da05a297510a78',
  '87f6407f475e58d8fa21c2cbdf85292cbc535553076045cc8ece1219707174e5',
  '14216faed413148e34de10b64fa5bf5f629a002172c8d27088d0087bf53641b6',
  'a3e6a686df7f434502aa7471abd99c5f9a796ea25e70463f779e842472a31f93',
  '3c1ad7a102f41e9131c85b12825133bda7a870d76378749fb932dfd00507e371',
];

/** Mac(key, input) for the same. */
export const MACS = [
  '71df3a44d95430fead11ca2c950debb1',
  '192f502ace00b18af9214eb3a5481d97',
  'e11dd78c79d3397995aa7b28534db783',
  '0194fe7395c987de6dff055a1958cadb',
  'aaf4beb14bfcda1eb4c476ad5cc4dca9',
  '24ccc3911f4e13b36eee02cb7420bea1',
  'f2611766c2d68c35f5ed1411aad30b27',
  '387c7722a47ee33686d3cded1b9f4a3d',
];

/** Aead(key, 0, input, key) for the sizes of `DERIVED`. */
export const SEALED = [
  '10a64061be2d6739f4e16343187d7131',
  '5681af87c682dc23194acc37f8375a3f744aeae90dbf71b966a68d4802654ef47cf47c0861b4f0387c1dd574c75f329e',
];

/** Kdf3(key, input) for the same; Kdf1 and Kdf2 are its beginning. */
export const DERIVATIONS = [
  'a5d7282924f8d381f69a3aeaa5f598d90434f2475801abfc2b3b030b935a2350791cd0044b20748daca7014aca5e60f37330b68d2f3d71ba1ac4284aaebab2c4592cb547fdcf8354f0f314bdad147af6132487349b8f999a98fdcbf8c0c22c2a',
  '83965bf4e2c7fd08ba0b245525ec67301cf87fa52b37134d1a6439a9a86d30a461982611608f5f6c1830624bc6520b8fba3ac016865a9282f4585ffd873056339208b2ed78e156e8ec388a55e7b2dc618f0a7e0833d84ccf71fd0957cb6227ed',
];
