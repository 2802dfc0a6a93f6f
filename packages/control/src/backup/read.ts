/** A backup, read: in form, of this version, and to the byte what was written, before anything of it is used. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import {
  DATABASE,
  FORM,
  type Header,
  KEY,
  MAGIC,
  MOST_HEADER_BYTES,
  NEEDED,
  TEXTS,
  TRAILER_BYTES,
} from './contents.ts';
import { BackupError } from './errors.ts';

const PIECE_BYTES = 1 << 20;

/** Unpacks the backup's files into the directory, each with mode 0600, or 0644 for the certificate. Throws BackupError. */
export function unpack(file: string, directory: string): Header {
  const from = open(file);
  try {
    const { header, length } = readHeader(file, from);
    const sum = createHash('sha256');
    const take = (count: number, put: (bytes: Buffer) => void): void => {
      const piece = Buffer.alloc(Math.min(count, PIECE_BYTES));
      for (let left = count; left > 0; ) {
        const read = readSync(from, piece, 0, Math.min(left, piece.length), at);
        if (read === 0) throw cutShort(file);
        put(piece.subarray(0, read));
        at += read;
        left -= read;
      }
    };
    let at = 0;
    take(length, (bytes) => void sum.update(bytes));
    for (const { name, size } of header.files) {
      const out = openSync(join(directory, name), 'wx', name === 'control.crt' ? 0o644 : 0o600);
      try {
        take(size, (bytes) => {
          sum.update(bytes);
          for (let done = 0; done < bytes.length; ) done += writeSync(out, bytes, done);
        });
        fsyncSync(out);
      } finally {
        closeSync(out);
      }
    }
    let told = '';
    take(TRAILER_BYTES, (bytes) => (told += bytes.toString('latin1')));
    if (fstatSync(from).size !== at || told !== `${sum.digest('hex')}\n`) {
      throw new BackupError('damaged', `${file} is damaged: it is not what was written; take another backup`);
    }
    return header;
  } finally {
    closeSync(from);
  }
}

function open(file: string): number {
  let from: number;
  try {
    // A pipe would keep its opener waiting for a writer for ever.
    from = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new BackupError('unreadable', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
  if (fstatSync(from).isFile()) return from;
  closeSync(from);
  throw new BackupError('unreadable', `cannot read ${file}: it is no file`);
}

function readHeader(file: string, from: number): { readonly header: Header; readonly length: number } {
  const start = Buffer.alloc(MAGIC.length + MOST_HEADER_BYTES);
  const text = start.subarray(0, readSync(from, start, 0, start.length, 0)).toString('latin1');
  if (!text.startsWith(MAGIC)) {
    // Half of the first line is half a backup, and as good as none.
    throw new BackupError(
      'not-a-backup',
      `${file} is no backup made by weft-control backup, or cut short at its start`,
    );
  }
  const end = text.indexOf('\n', MAGIC.length);
  if (end < 0) throw cutShort(file);
  let read: unknown;
  try {
    read = JSON.parse(text.slice(MAGIC.length, end));
  } catch (error) {
    throw new BackupError('damaged', `${file} is damaged: ${messageOf(error)}`, { cause: error });
  }
  const header = read as Partial<Header>;
  if (typeof header.form === 'number' && header.form > FORM) {
    const by = `form ${header.form}; this one reads ${FORM}`;
    throw new BackupError(
      'too-new',
      `${file} was made by a newer weft-control ${String(header.writtenBy)} (${by}); restore it with that version`,
    );
  }
  if (!inForm(header)) throw new BackupError('damaged', `${file} is damaged: its second line is out of form`);
  return { header, length: end + 1 };
}

/** The names are control's own, each once: nothing is written elsewhere, whatever the file says. */
function inForm(header: Partial<Header>): header is Header {
  const { form, writtenBy, madeMs, revision, networks, files } = header;
  const known: readonly string[] = [...TEXTS, DATABASE, KEY];
  if (form !== FORM || typeof writtenBy !== 'string' || !Array.isArray(files)) return false;
  if (
    ![madeMs, revision, networks, ...files.map(({ size }) => size)].every(
      (each) => Number.isSafeInteger(each) && Number(each) >= 0,
    )
  )
    return false;
  const names = files.map(({ name }) => name);
  return (
    new Set(names).size === names.length &&
    names.every((name) => known.includes(name)) &&
    NEEDED.every((name) => names.includes(name))
  );
}

function cutShort(file: string): BackupError {
  return new BackupError('damaged', `${file} is cut short; take another backup`);
}
