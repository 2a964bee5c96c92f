"""Where scripts written against earlier versions find how a conversation becomes rows.

The code is in training/conversation_rows.py; nothing in this repository imports from here.
"""

from OnPolicyDistill.training.conversation_rows import ConversationRow, encode_conversation

__all__ = ["ConversationRow", "encode_conversation"]
