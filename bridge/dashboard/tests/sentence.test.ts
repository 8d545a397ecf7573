/** What core and Razorpay say in English, said in the language of the page. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { reasonWords, noteWords, sentenceWords, whyWords } from '../src/escrow/sentence';
import en from '../src/words/en';
import { speak } from '../src/words';

const REFUSED = 'Razorpay refuses: The linked account is not activated (account_not_activated)';

describe('in English', () => {
  test('every sentence of core’s stays as it is, but for codes', () => {
    for (const text of Object.values(en.sentence.what)) {
      const sentence = text.replace(/\{\{(?!why|reason)(\w+)\}\}/g, '$1_1').replace('{{why}}', 'it is raining');
      expect(sentenceWords(sentence.replace('{{reason}}', 'card_expired'))).toBe(
        sentence.replace('{{reason}}', 'the card has expired'),
      );
    }
  });

  test('what nobody knows is told as it is', () => {
    expect(sentenceWords('The moon is too far.')).toBe('The moon is too far.');
    expect(whyWords('it is raining')).toBe('it is raining');
    expect(noteWords('Call me.')).toBe('Call me.');
  });
});

describe('in Hindi', () => {
  beforeEach(() => speak('hi'));
  afterEach(() => speak('en'));

  test('a sentence of core’s is translated, with its ids and amounts', () => {
    expect(sentenceWords('Transfer trf_1 was released by hand.')).toBe('ट्रांसफ़र trf_1 हाथ से जारी किया गया है।');
    const lost = "Payment pay_1 has lost the bank's dispute disp_1 of ₹900; nothing is released meanwhile.";
    expect(sentenceWords(lost)).toMatch(/^भुगतान pay_1 .*₹900.*disp_1 हारा गया है/);
    const surplus = 'Payment pay_2 of ₹800 is being refunded: ₹100 of ₹900 was not paid, and an escrow is paid in one payment.';
    expect(sentenceWords(surplus)).toContain('₹900 में से ₹100 नहीं चुकाए गए');
  });

  test('of a refusal the known reason is translated, and Razorpay’s sentence is quoted', () => {
    expect(sentenceWords(REFUSED)).toBe(
      'Razorpay ने मना किया: लिंक किया हुआ खाता चालू नहीं है। उसके अपने शब्द: “The linked account is not activated”',
    );
  });

  test('what nobody knows is quoted after a lead-in', () => {
    expect(sentenceWords('The moon is too far.')).toBe('Holdfast का मूल संदेश: “The moon is too far.”');
    expect(whyWords('it is raining')).toBe('Holdfast का मूल संदेश: “it is raining”');
    expect(reasonWords('moon_too_far')).toBe('Razorpay के अपने शब्दों में: “moon too far”');
    expect(noteWords('The inspection period is over.')).toBe('जाँच का समय समाप्त हो गया।');
  });
});
