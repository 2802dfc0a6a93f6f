/** The generated code, loaded after the library it uses is set up. */
import './numbers.ts';

export { google, weft } from '#generated';
