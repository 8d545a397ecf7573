"""What the payment page says, in the languages of the dashboard.

What Razorpay itself says, such as why it refuses, stays in English, as with Razorpay.
"""

from collections.abc import Mapping

Words = Mapping[str, str]

ENGLISH = {
    "language": "en",
    "title": "Pay in the sandbox",
    "note": "This is a sandbox in place of Razorpay. No real money moves.",
    "brand": "Sandbox checkout",
    "payment": "Your payment",
    "payee": "to {payee}",
    "pay": "Pay {amount}",
    "else": "Or see what else a bank may do:",
    "fail": "Let the payment fail",
    "fail_means": "The bank refuses it.",
    "late": "Leave it being authorised",
    "late_means": "You go back now; the bank says yes {late_s:g} seconds later.",
    "authorise": "Authorise, then capture later",
    "authorise_means": "The bank sets the money aside until Holdfast takes it.",
    "leave": "Go back without paying",
    "back": "Go back",
    "order": "Order",
    "receipt": "Receipt",
    "no_receipt": "none",
    "is_paid": "This is paid.",
    "is_authorised": "This is authorised, and not taken yet.",
    "done": "Done",
    "captured": "The payment is captured.",
    "authorized": "The payment is authorized.",
    "failed": "The payment has failed.",
    "pending": "The payment is still being authorised.",
    "refused": "This cannot be paid",
    "forgotten": (
        "The sandbox does not know this order. It forgets all orders and payments when it stops;"
        " the escrow stays. Create a new escrow to pay."
    ),
}
HINDI = {
    "language": "hi",
    "title": "सैंडबॉक्स में भुगतान",
    "note": "यह Razorpay की जगह एक सैंडबॉक्स है। कोई असली पैसा नहीं जाता।",
    "brand": "सैंडबॉक्स चेकआउट",
    "payment": "आपका भुगतान",
    "payee": "{payee} को",
    "pay": "{amount} चुकाएँ",
    "else": "या देखें कि बैंक और क्या कर सकता है:",
    "fail": "भुगतान विफल होने दें",
    "fail_means": "बैंक मना कर देता है।",
    "late": "मंज़ूरी बाक़ी रहने दें",
    "late_means": "आप अभी लौट जाते हैं; बैंक {late_s:g} सेकंड बाद मंज़ूरी देता है।",
    "authorise": "अभी मंज़ूरी, पैसा बाद में लिया जाए",
    "authorise_means": "बैंक पैसा अलग रख देता है, जब तक Holdfast उसे न ले ले।",
    "leave": "बिना चुकाए लौटें",
    "back": "लौटें",
    "order": "ऑर्डर",
    "receipt": "रसीद",
    "no_receipt": "नहीं है",
    "is_paid": "इसका भुगतान हो चुका है।",
    "is_authorised": "बैंक की मंज़ूरी मिल चुकी है, पैसा अभी लिया नहीं गया है।",
    "done": "हो गया",
    "captured": "भुगतान हो गया है।",
    "authorized": "बैंक ने मंज़ूरी दे दी है, पैसा अभी लिया नहीं गया है।",
    "failed": "भुगतान विफल रहा।",
    "pending": "बैंक की मंज़ूरी अभी बाक़ी है।",
    "refused": "इसका भुगतान नहीं हो सकता",
    "forgotten": (
        "सैंडबॉक्स इस ऑर्डर को नहीं जानता। बंद होने पर वह सारे ऑर्डर और भुगतान भूल जाता है;"
        " एस्क्रो बना रहता है। भुगतान के लिए नया एस्क्रो बनाएँ।"
    ),
}


def words(tag: str) -> Words:
    """Choose by the tag of a language, or by a browser's Accept-Language."""
    return HINDI if tag.strip().lower().startswith("hi") else ENGLISH
